//! The kinds of columns all tables are made of, so that both databases get the same shapes.

use sea_orm_migration::prelude::*;

/// A table to be filled with the columns below.
pub(crate) fn table(name: &'static str) -> TableCreateStatement {
    Table::create().table(name).to_owned()
}

/// A UUID; 16 bytes on SQLite.
pub(crate) fn uuid(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).uuid().not_null().to_owned()
}

/// A UUID or nothing.
pub(crate) fn uuid_null(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).uuid().null().to_owned()
}

/// Text without a limit of its own; limits are rules and live in the domain.
pub(crate) fn text(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().not_null().to_owned()
}

/// Text or nothing.
pub(crate) fn text_null(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().null().to_owned()
}

/// A yes or no.
pub(crate) fn flag(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).boolean().not_null().default(false).to_owned()
}

/// A 32-bit count, starting at 0.
pub(crate) fn count(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).integer().not_null().default(0).to_owned()
}

/// A 64-bit number, starting at 0.
pub(crate) fn big(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().default(0).to_owned()
}

/// A 64-bit number or nothing.
pub(crate) fn big_null(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().null().to_owned()
}

/// An instant: milliseconds since the epoch.
pub(crate) fn time(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().to_owned()
}

/// An instant or nothing.
pub(crate) fn time_null(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().null().to_owned()
}

/// JSON as written: not `jsonb`, which would reorder keys and refuse some texts.
pub(crate) fn json(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).json().not_null().to_owned()
}

/// JSON or nothing.
pub(crate) fn json_null(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).json().null().to_owned()
}

/// Bytes: hashes and sealed secrets.
pub(crate) fn bytes(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).blob().not_null().to_owned()
}

/// Bytes or nothing.
pub(crate) fn bytes_null(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).blob().null().to_owned()
}

/// A reference whose rows go with the row they point to.
pub(crate) fn cascade(from: &'static str, column: &'static str, to: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create().from(from, column).to(to, "id").on_delete(ForeignKeyAction::Cascade).to_owned()
}

/// An index by name; `unique` where two equal rows must not be.
pub(crate) fn index(
    name: &'static str,
    table: &'static str,
    columns: &[&'static str],
    unique: bool,
) -> IndexCreateStatement {
    let mut index = Index::create().name(name).table(table).to_owned();
    for column in columns {
        index.col(*column);
    }
    if unique {
        index.unique();
    }
    index
}

/// Drops tables, last made first.
pub(crate) async fn drop_tables(manager: &SchemaManager<'_>, tables: &[&'static str]) -> Result<(), DbErr> {
    for table in tables {
        manager.drop_table(Table::drop().table(*table).to_owned()).await?;
    }
    Ok(())
}
