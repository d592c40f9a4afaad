//! Changing the server secret: what was sealed under an older one is sealed again under the first.
//!
//! Each feature knows what it seals and tells it to a `Rotation`; the table in [`rotate`] lists the features. Rows are taken
//! by their primary key, at most a hundred in a transaction, so nobody waits long and a rotation that was cut off is begun
//! again without harm. Signing keys need none of this: they are derived, and both secrets' keys are published meanwhile.

use sea_orm::{
    EntityTrait, Iterable, ModelTrait, Order, PaginatorTrait, PrimaryKeyToColumn, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Value,
    sea_query::{Expr, ExprTrait, Func, LockType},
};

use crate::{
    Deps, authorization_codes, cli_logins,
    db::{Backend, Tx},
    emails,
    error::Result,
    idempotency, linked_accounts, oauth, projects,
    secrets::Keyring,
    users, webhooks,
};

const BATCH: u64 = 100;

/// What a rotation came to for one kind of value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resealed {
    /// What the values are.
    pub what: &'static str,
    /// How many were sealed again.
    pub count: u64,
    /// How many are still under another secret: they do not open, or a process whose first secret is an older one has
    /// written them in the meantime.
    pub left: u64,
}

/// Seals everything again that is not under the newest server secret.
///
/// # Errors
/// Those of the database. What was sealed again until then stays so.
#[crate::boxed]
pub async fn rotate(deps: &Deps) -> Result<Vec<Resealed>> {
    let mut rotation = Rotation { deps, done: Vec::new() };
    projects::reseal(&mut rotation).await?;
    users::reseal(&mut rotation).await?;
    linked_accounts::reseal(&mut rotation).await?;
    authorization_codes::reseal(&mut rotation).await?;
    cli_logins::reseal(&mut rotation).await?;
    oauth::reseal(&mut rotation).await?;
    emails::reseal(&mut rotation).await?;
    webhooks::reseal(&mut rotation).await?;
    idempotency::reseal(&mut rotation).await?;
    Ok(rotation.done)
}

/// A rotation under way.
pub(crate) struct Rotation<'a> {
    deps: &'a Deps,
    done: Vec<Resealed>,
}

/// What becomes of the value of one row.
#[derive(Default)]
pub(crate) struct NewValue {
    /// The value to store; nothing to keep the old one.
    pub(crate) value: Option<Value>,
    /// How many sealed values in it do not open.
    pub(crate) unreadable: u64,
}

impl Rotation<'_> {
    /// Seals one column again. `reseal` calls [`Keyring::reseal`] with the place of the row.
    pub(crate) async fn column<E>(
        &mut self,
        what: &'static str,
        column: E::Column,
        reseal: impl Fn(&Keyring, &E::Model, &[u8]) -> Result<Option<Vec<u8>>> + Sync,
    ) -> Result<()>
    where
        E: EntityTrait,
        E::Model: ModelTrait<Entity = E> + Sync,
    {
        let key_id = self.deps.keyring.current_key_id()?;
        let length = i32::try_from(key_id.len()).unwrap_or(i32::MAX);
        // A value begins with the id of its key.
        let begin = Func::cust("substr").args([Expr::col((E::default(), column)), Expr::value(1), Expr::value(length)]);
        let stale = Expr::from(begin).ne(key_id);
        let new_value = |keyring: &Keyring, row: &E::Model| {
            let Value::Bytes(Some(sealed)) = row.get(column) else { return NewValue::default() };
            match reseal(keyring, row, &sealed) {
                Ok(value) => NewValue { value: value.map(Value::from), unreadable: 0 },
                Err(error) => {
                    tracing::warn!(what, %error, "a sealed value cannot be sealed again");
                    NewValue { value: None, unreadable: 1 }
                }
            }
        };
        let mut done = self.rows::<E>(what, column, Some(&stale), new_value).await?;
        done.left = E::find().filter(stale).count(self.deps.db.read()).await?;
        self.done.push(done);
        Ok(())
    }

    /// The same for values that are sealed in parts.
    pub(crate) async fn parts<E>(
        &mut self,
        what: &'static str,
        column: E::Column,
        new_value: impl Fn(&Keyring, &E::Model) -> NewValue + Sync,
    ) -> Result<()>
    where
        E: EntityTrait,
        E::Model: ModelTrait<Entity = E> + Sync,
    {
        let done = self.rows::<E>(what, column, None, new_value).await?;
        self.done.push(done);
        Ok(())
    }

    async fn rows<E>(
        &self,
        what: &'static str,
        column: E::Column,
        stale: Option<&Expr>,
        new_value: impl Fn(&Keyring, &E::Model) -> NewValue + Sync,
    ) -> Result<Resealed>
    where
        E: EntityTrait,
        E::Model: ModelTrait<Entity = E> + Sync,
    {
        let mut done = Resealed { what, count: 0, left: 0 };
        let mut last = None;
        loop {
            let keyring = &self.deps.keyring;
            let (after, new_value) = (&last, &new_value);
            let page = self
                .deps
                .db
                .write(|tx| page::<E>(tx, column, stale, after.as_ref(), move |row| new_value(keyring, row)))
                .await?;
            done.count += page.changed;
            done.left += page.unreadable;
            match page.last {
                Some(key) => last = Some(key),
                None => return Ok(done),
            }
        }
    }
}

/// What became of the rows of one transaction.
struct Page {
    changed: u64,
    unreadable: u64,
    /// The primary key of the last one, when there may be more.
    last: Option<Vec<Value>>,
}

async fn page<E>(
    tx: Tx,
    column: E::Column,
    stale: Option<&Expr>,
    after: Option<&Vec<Value>>,
    new_value: impl Fn(&E::Model) -> NewValue + Sync,
) -> Result<Page>
where
    E: EntityTrait,
    E::Model: ModelTrait<Entity = E> + Sync,
{
    let keys: Vec<E::Column> = E::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column).collect();
    let columns = || Expr::tuple(keys.iter().map(|key| Expr::col((E::default(), *key))));
    let values = |key: &[Value]| Expr::tuple(key.iter().cloned().map(Expr::value));
    let mut select = E::find().limit(BATCH);
    if let Some(stale) = stale {
        select = select.filter(stale.clone());
    }
    if let Some(after) = after {
        select = select.filter(columns().gt(values(after)));
    }
    for key in &keys {
        select = select.order_by(*key, Order::Asc);
    }
    if tx.backend() == Backend::Postgres {
        QueryTrait::query(&mut select).lock(LockType::NoKeyUpdate);
    }
    let mut page = Page { changed: 0, unreadable: 0, last: None };
    let rows = select.all(&*tx).await?;
    let is_full = rows.len() as u64 == BATCH;
    for row in rows {
        let key: Vec<Value> = keys.iter().map(|key| row.get(*key)).collect();
        let NewValue { value, unreadable } = new_value(&row);
        page.unreadable += unreadable;
        if let Some(value) = value {
            let update = E::update_many().col_expr(column, Expr::value(value)).filter(columns().eq(values(&key)));
            page.changed += update.exec(&*tx).await?.rows_affected;
        }
        page.last = is_full.then_some(key);
    }
    Ok(page)
}

#[cfg(test)]
mod tests;
