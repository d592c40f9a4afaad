//! Free-text search: which users a text finds, by an index of trigrams (PostgreSQL: pg_trgm; SQLite: FTS5's trigram
//! tokenizer), always within the project. What is searched and the text are folded alike, so both databases find the same.
//!
//! A text that few users match is looked up in the index, and the matches are put in order. One that many match would make
//! that slow, however small the page; then the users are walked in order and each is looked at, which soon fills a page.

use postern_entity::{contact_channel, user};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Value,
    sea_query::{Condition, Expr, ExprTrait, Query, SelectStatement, UnionType},
};

use super::channels::EMAIL;
use crate::{
    ProjectId, UserId,
    db::{constant, finds_at_least},
    error::Result,
    text_search::TextSearch,
};

/// Of the project's id, what SQLite's index has beside each text: one trigram.
const SCOPE_CHARS: usize = 3;
/// From so many matches on, users are walked in order.
const MANY: u64 = 5_000;
/// What the addresses of a user are called in the condition that one matches.
const SEARCHED: &str = "searched_channel";

/// Who matches a text.
pub(super) struct Search {
    project_id: ProjectId,
    text: TextSearch,
    backend: DbBackend,
    /// From so many matches on, users are walked in order.
    many: u64,
}

impl Search {
    pub(super) fn new(connection: &impl ConnectionTrait, project_id: &ProjectId, query: &str) -> Self {
        let backend = connection.get_database_backend();
        Self { project_id: project_id.clone(), text: TextSearch::new(query), backend, many: MANY }
    }

    /// The same that walks users in order from so many matches on.
    #[cfg(test)]
    pub(super) fn walking_from(self, many: u64) -> Self {
        Self { many, ..self }
    }

    /// The condition that a user matches, by the index, however many do.
    pub(super) fn by_index(&self) -> Condition {
        Condition::all().add(user::Column::Id.in_subquery(self.matches()))
    }

    /// Whether so many match that users are better walked in order.
    pub(super) async fn finds_many(&self, connection: &impl ConnectionTrait) -> Result<bool> {
        finds_at_least(connection, self.matches(), self.many).await
    }

    /// The ids of all matches.
    fn matches(&self) -> SelectStatement {
        let mut matches = match self.backend {
            DbBackend::Sqlite => self.matches_of_fts(),
            _ => {
                let mut by_name = user::Entity::find()
                    .select_only()
                    .column(user::Column::Id)
                    .filter(user::Column::ProjectId.eq(self.project_id.clone()))
                    .filter(Expr::col((user::Entity, user::Column::DisplayNameFolded)).like(self.text.pattern()))
                    .into_query();
                let by_address = contact_channel::Entity::find()
                    .select_only()
                    .column(contact_channel::Column::UserId)
                    .filter(contact_channel::Column::ProjectId.eq(self.project_id.clone()))
                    .filter(contact_channel::Column::Kind.into_expr().eq(constant(EMAIL)))
                    .filter(
                        Expr::col((contact_channel::Entity, contact_channel::Column::Value)).like(self.text.pattern()),
                    )
                    .into_query();
                by_name.union(UnionType::All, by_address).to_owned()
            }
        };
        if let Some(id) = self.text.as_id() {
            let by_id = user::Entity::find()
                .select_only()
                .column(user::Column::Id)
                .filter(user::Column::ProjectId.eq(self.project_id.clone()))
                .filter(user::Column::Id.eq(UserId(id)))
                .into_query();
            matches.union(UnionType::All, by_id);
        }
        matches
    }

    /// SQLite keeps what is searched in a table of its own, filled by triggers (migrations `m0015_search` and
    /// `m0019_search_scope`).
    fn matches_of_fts(&self) -> SelectStatement {
        const TABLE: &str = "user_search";
        const INDEX: &str = "user_search_text";
        let mut select = Query::select()
            .column((TABLE, "user_id"))
            .and_where(Expr::col((TABLE, "project_id")).eq(self.project_id.clone()))
            .to_owned();
        let folded = &self.text.folded;
        if self.text.is_prefix() {
            // Every text that begins so lies between it and itself with the last of all characters behind.
            let end = format!("{folded}{}", char::MAX);
            let begins = Expr::cust_with_values(
                r#""user_search"."text" >= ? AND "user_search"."text" < ?"#,
                [folded.clone(), end],
            );
            return select.from(TABLE).and_where(begins).to_owned();
        }
        // Phrases: what the trigrams of a text stand next to each other in.
        let phrase = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let scope: String = self.project_id.as_str().chars().take(SCOPE_CHARS).collect();
        let asked = format!("scope : {} AND text : {}", phrase(&scope), phrase(folded));
        // Crossed, not joined: so SQLite begins with the index, which finds one match after the other and stops in time.
        let same = Expr::col((TABLE, "id")).eq(Expr::cust(r#""user_search_text"."rowid""#));
        select
            .from(INDEX)
            .cross_join(TABLE)
            .and_where(same)
            .and_where(Expr::cust_with_values(r#""user_search_text" MATCH ?"#, [Value::from(asked)]))
            .to_owned()
    }

    /// The same, asked of each user.
    pub(super) fn one_by_one(&self) -> Condition {
        let own = |column| Expr::col((SEARCHED, column));
        let by_address = Query::select()
            .expr(Expr::val(1))
            .from_as(contact_channel::Entity, SEARCHED)
            .and_where(own(contact_channel::Column::UserId).equals((user::Entity, user::Column::Id)))
            .and_where(own(contact_channel::Column::Kind).eq(constant(EMAIL)))
            .and_where(own(contact_channel::Column::Value).like(self.text.pattern()))
            .to_owned();
        Condition::any()
            .add(Expr::col((user::Entity, user::Column::DisplayNameFolded)).like(self.text.pattern()))
            .add(Expr::exists(by_address))
    }
}
