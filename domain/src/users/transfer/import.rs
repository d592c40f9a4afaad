//! Importing users: many at a time, few in a transaction, and never one twice.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use futures::{FutureExt, future::BoxFuture, future::join_all};
use postern_entity::user;
use ring::hmac;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use super::{
    check::{self, FirebaseParameters},
    line::UserLine,
};
use crate::{
    Actor, Code, Deps, Error, Failure, Level, ProjectId, UserId,
    db::{Backend, NewRows, violates_unique},
    email_address::EmailAddress,
    error::{Result, refuse},
    linked_accounts,
    projects::{self, ProjectConfig},
    users::{channels, create, email_already_exists},
};

/// How many lines to hand over at a time.
pub const LINES_AT_A_TIME: usize = 100;
/// Most rows of a transaction, unless a single user has more.
const MAX_ROWS: usize = 100;
/// Fewest rows that a transaction is cut down to.
const MIN_ROWS: usize = 10;
/// How long a transaction should take at most.
const MAX_TIME: Duration = Duration::from_millis(50);

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportLine {
    /// Counted from 1.
    pub number: u64,
    /// Without the end of the line; at most [`super::MAX_LINE_BYTES`].
    pub text: String,
}

/// What holds for all lines.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Whether `user.created` (and `team.created` for personal teams) are written for the users.
    pub is_told: bool,
    /// What hashes of Firebase have in common.
    pub firebase: Option<FirebaseParameters>,
}

/// What became of a line that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// There is a user now that was not there before.
    New(UserId),
    /// A user with this id was there before; it stays as it is.
    Present(UserId),
}

/// An import under way.
#[derive(Debug)]
pub struct Import<'a> {
    deps: &'a Deps,
    actor: &'a Actor,
    options: ImportOptions,
    /// From which ids of lines follow that name none.
    ids: hmac::Key,
    pace: Pace,
}

/// A user about to be written, by its place among the lines.
struct Ready {
    place: usize,
    id: UserId,
    rows: NewRows,
    addresses: Vec<EmailAddress>,
}

/// What became of each line, in their order.
type Outcomes = [Option<Result<Imported, Failure>>];

impl<'a> Import<'a> {
    /// For administrators of the project.
    ///
    /// # Errors
    /// `FORBIDDEN` below ADMIN.
    pub fn begin(deps: &'a Deps, actor: &'a Actor, options: ImportOptions) -> Result<Self> {
        if actor.level < Level::Admin {
            return refuse(Failure::forbidden("Importing users needs admin access."));
        }
        // The oldest secret, so that ids stay what they were while a new one is brought in.
        let key = deps.keyring.derive(deps.keyring.generations() - 1, "postern/import-ids")?;
        let ids = hmac::Key::new(hmac::HMAC_SHA256, &key);
        Ok(Self { deps, actor, options, ids, pace: Pace { rows: MAX_ROWS } })
    }

    /// Imports lines and says what became of each, in their order. Users that are there already are not touched; a line that
    /// does not fit keeps no other back.
    ///
    /// # Errors
    /// `CURRENT_PROJECT_NOT_FOUND`; those of the database. Some users may be there by then; handing over the same lines
    /// again goes on where it stopped.
    #[crate::boxed]
    pub async fn run(&mut self, lines: &[ImportLine]) -> Result<Vec<Result<Imported, Failure>>> {
        let config = projects::config(self.deps, &self.actor.project_id).await?;
        let mut outcomes: Vec<_> = lines.iter().map(|_| None).collect();
        let parsed = self.parse(lines, &mut outcomes).await?;
        let checks = parsed.into_iter().map(|(place, id, line)| self.ready(&config, place, id, line));
        let mut ready = Vec::new();
        for (place, checked) in join_all(checks).await {
            match checked {
                Ok(one) => ready.push(one),
                Err(Error::Refused(failure)) => note(&mut outcomes, place, Err(failure)),
                Err(error) => return Err(error),
            }
        }
        let mut rest = ready.as_slice();
        while let Some(count) = self.pace.take(rest) {
            let (batch, later) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            let began = Instant::now();
            self.write(batch, &mut outcomes).await?;
            let took = began.elapsed();
            self.pace.adapt(took);
            if self.deps.db.backend() == Backend::Sqlite {
                // Another process that waits for the only writer looks again from time to time, and finds it free now.
                tokio::time::sleep(took.min(MAX_TIME)).await;
            }
            rest = later;
        }
        let unknown = || Error::internal("a line of an import has no outcome");
        outcomes.into_iter().map(|outcome| outcome.ok_or_else(unknown)).collect()
    }

    /// The lines that say a user who is not there yet.
    async fn parse(&self, lines: &[ImportLine], outcomes: &mut Outcomes) -> Result<Vec<(usize, UserId, UserLine)>> {
        let mut parsed = Vec::new();
        for (place, line) in lines.iter().enumerate() {
            match UserLine::parse(&line.text) {
                Ok(user) => parsed.push((place, user.id.unwrap_or_else(|| self.id_of(line)), user)),
                Err(Error::Refused(failure)) => note(outcomes, place, Err(failure)),
                Err(error) => return Err(error),
            }
        }
        let mut seen = self.present(parsed.iter().map(|(_, id, _)| *id)).await?;
        parsed.retain(|(place, id, _)| {
            let is_new = seen.insert(*id);
            if !is_new {
                note(outcomes, *place, Ok(Imported::Present(*id)));
            }
            is_new
        });
        Ok(parsed)
    }

    /// The id of a line that names none: the same for the same line of the same file. Keyed, because ids are no secrets and
    /// the line may hold a password, which could be guessed by trying otherwise. Of version 4, as all ids are: what the key
    /// makes of the line cannot be told from random bits.
    fn id_of(&self, line: &ImportLine) -> UserId {
        let mut context = hmac::Context::with_key(&self.ids);
        context.update(self.actor.project_id.as_str().as_bytes());
        context.update(&[0]);
        context.update(&line.number.to_be_bytes());
        context.update(line.text.as_bytes());
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(context.sign().as_ref()).for_each(|(byte, random)| *byte = *random);
        UserId(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// Which of the users are there. Asked for by their ids alone, whose project is looked at here: PostgreSQL would make its
    /// plan while the project is empty, take an index on the project for the best way, and walk all users of the project
    /// for each round until it analyses the table.
    async fn present(&self, ids: impl Iterator<Item = UserId>) -> Result<HashSet<UserId>> {
        let found: Vec<(UserId, ProjectId)> = user::Entity::find()
            .select_only()
            .columns([user::Column::Id, user::Column::ProjectId])
            .filter(user::Column::Id.is_in(ids))
            .into_tuple()
            .all(self.deps.db.read())
            .await?;
        let own = found.into_iter().filter(|(_, project_id)| *project_id == self.actor.project_id);
        Ok(own.map(|(id, _)| id).collect())
    }

    async fn ready(&self, config: &ProjectConfig, place: usize, id: UserId, line: UserLine) -> (usize, Result<Ready>) {
        let (deps, options) = (self.deps, &self.options);
        let rows = async {
            let checked = check::check(
                deps,
                config,
                (&self.actor.project_id, id),
                line,
                options.firebase.as_ref(),
                options.is_told,
            )
            .await?;
            let mut rows = NewRows::default();
            let (new, origin) = (&checked.new, &checked.origin);
            create::add_from(deps, &mut rows, config, &self.actor.project_id, new, origin)?;
            let addresses = new.primary_email.iter().chain(origin.others.iter().map(|(_, _, email)| email));
            let addresses = addresses.filter(|email| email.used_for_auth).map(|email| email.address.clone());
            Ok(Ready { place, id, rows, addresses: addresses.collect() })
        };
        (place, rows.await)
    }

    /// Writes users in one transaction. If that is refused, each half is tried by itself, so that only those fail of which it
    /// is the fault.
    fn write<'b>(&'b self, batch: &'b [Ready], outcomes: &'b mut Outcomes) -> BoxFuture<'b, Result<()>> {
        async move {
            let mut rows = NewRows::default();
            batch.iter().for_each(|one| rows.append(one.rows.clone()));
            match (self.deps.add(self.actor, "users.import", rows, ()).await, batch) {
                (Ok(()), _) => {
                    batch.iter().for_each(|one| note(outcomes, one.place, Ok(Imported::New(one.id))));
                    Ok(())
                }
                (Err(error), [one]) => {
                    let failure = self.refusal(one, error).await?;
                    note(outcomes, one.place, failure);
                    Ok(())
                }
                (Err(error), _) if is_double(&error) => {
                    let (left, right) = batch.split_at(batch.len() / 2);
                    self.write(left, outcomes).await?;
                    self.write(right, outcomes).await
                }
                (Err(error), _) => Err(error),
            }
        }
        .boxed()
    }

    /// What the database refused one user for.
    async fn refusal(&self, one: &Ready, error: Error) -> Result<Result<Imported, Failure>> {
        // Somebody else may run the same import.
        if self.present([one.id].into_iter()).await?.contains(&one.id) {
            return Ok(Ok(Imported::Present(one.id)));
        }
        let error = match linked_accounts::or_taken::<()>(Err(error)) {
            Err(Error::Refused(failure)) => return Ok(Err(failure)),
            Err(error) => error,
            Ok(()) => return Err(Error::internal("a refusal without an error")),
        };
        let failure = match channels::or_taken::<()>(Err(error), || email_already_exists("")) {
            Err(Error::Refused(_)) => self.taken(one).await?,
            Err(Error::Database(error)) if violates_unique(&error, "user_pkey", "user.id") => {
                Failure::new(Code::Conflict, "id: a user of another project has this id.")
            }
            Err(Error::Database(error)) if violates_unique(&error, "contact_channel_pkey", "contact_channel.id") => {
                Failure::new(Code::Conflict, "contact_channels: another channel has the id of one of them.")
            }
            Err(error) => return Err(error),
            Ok(()) => return Err(Error::internal("a refusal without an error")),
        };
        Ok(Err(failure))
    }

    /// Which of the user's addresses somebody else signs in with.
    async fn taken(&self, one: &Ready) -> Result<Failure> {
        let connection = self.deps.db.read();
        for address in &one.addresses {
            let holder = channels::store::for_auth(&self.actor.project_id, address).one(connection).await?;
            if holder.is_some() {
                return Ok(email_already_exists(address.as_str()));
            }
        }
        // Given back in the meantime.
        Ok(email_already_exists(one.addresses.first().map_or("", EmailAddress::as_str)))
    }
}

fn note(outcomes: &mut Outcomes, place: usize, outcome: Result<Imported, Failure>) {
    if let Some(known) = outcomes.get_mut(place) {
        *known = Some(outcome);
    }
}

/// Whether the rows were refused because something is there already.
fn is_double(error: &Error) -> bool {
    matches!(error, Error::Database(error) if matches!(error.sql_err(), Some(sea_orm::SqlErr::UniqueConstraintViolation(_))))
}

/// How many rows the next transaction gets: fewer while they take long.
#[derive(Debug)]
struct Pace {
    rows: usize,
}

impl Pace {
    /// How many of the users fit into the next transaction, at least one; none at the end.
    fn take(&self, rest: &[Ready]) -> Option<usize> {
        let mut rows = 0;
        let fitting = rest.iter().take_while(|one| {
            rows += one.rows.count();
            rows <= self.rows
        });
        let fitting = fitting.count();
        (!rest.is_empty()).then_some(fitting.max(1))
    }

    fn adapt(&mut self, took: Duration) {
        self.rows = if took > MAX_TIME { (self.rows / 2).max(MIN_ROWS) } else { (self.rows * 2).min(MAX_ROWS) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_transactions_get_fewer_rows_and_fast_ones_more() {
        let mut pace = Pace { rows: MAX_ROWS };
        let mut after = |took: u64| {
            pace.adapt(Duration::from_millis(took));
            pace.rows
        };
        assert_eq!([51, 51, 51, 51, 51].map(&mut after), [50, 25, 12, 10, 10]);
        assert_eq!([50, 1, 1, 1, 1].map(&mut after), [20, 40, 80, 100, 100]);
    }
}
