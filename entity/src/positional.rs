//! Rows read by the places of their columns. sea-orm looks each column up by its name, which for rows that every request reads
//! costs as much as reading them.

use sea_orm::{DbErr, QueryResult};

/// A row whose columns stand next to each other in an answer, in the order of its fields, which is that of its table's columns.
pub trait Positional: Sized {
    /// The columns, in order.
    const COLUMNS: &'static [&'static str];

    /// Reads the row whose first column is the one at `first`, from 0.
    ///
    /// # Errors
    /// When a column is not there or of another type.
    fn read_at(row: &QueryResult, first: usize) -> Result<Self, DbErr>;
}

macro_rules! positional {
    ($model:ty { $($field:ident)* }) => {
        impl $crate::positional::Positional for $model {
            const COLUMNS: &'static [&'static str] = &[$(stringify!($field)),*];

            fn read_at(row: &::sea_orm::QueryResult, first: usize) -> ::std::result::Result<Self, ::sea_orm::DbErr> {
                let mut places = first..;
                // Fields are read in the order in which they stand here.
                Ok(Self { $($field: row.try_get_by_index(places.next().unwrap_or(usize::MAX))?),* })
            }
        }
    };
}
pub(crate) use positional;

#[cfg(test)]
mod tests {
    use sea_orm::{EntityTrait, IdenStatic, Iterable};

    use super::Positional;
    use crate::{contact_channel, team, user};

    fn in_order<E: EntityTrait<Model: Positional>>() {
        let columns: Vec<_> = E::Column::iter().map(|column| column.as_str()).collect();
        assert_eq!(E::Model::COLUMNS, columns);
    }

    #[test]
    fn fields_are_read_in_the_order_of_the_columns() {
        in_order::<user::Entity>();
        in_order::<contact_channel::Entity>();
        in_order::<team::Entity>();
    }
}
