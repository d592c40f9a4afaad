//! The status of a mail, told from its times and flags: once in Rust for a row in hand, once as a condition for lists. A
//! test holds both against each other.

use postern_entity::email::{Column, Model};
use sea_orm::{
    ColumnTrait, Condition,
    sea_query::{Expr, SimpleExpr},
};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident $text:literal)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// As on the wire: lower case with dashes.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// From the wire.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text)
            }
        }
    };
}

words! {
    /// Where a mail stands.
    Status {
        /// Held back by an administrator.
        Paused "paused"
        /// Not sent, for a reason.
        Skipped "skipped"
        /// Waits to be rendered.
        Preparing "preparing"
        /// Being rendered.
        Rendering "rendering"
        /// Its source does not render.
        RenderError "render-error"
        /// Waits for its time.
        Scheduled "scheduled"
        /// Waits for its turn.
        Queued "queued"
        /// On its way to the server.
        Sending "sending"
        /// No server takes it.
        ServerError "server-error"
        /// Taken by the server.
        Sent "sent"
        /// The recipient called it spam.
        MarkedAsSpam "marked-as-spam"
        /// The recipient followed a link.
        Clicked "clicked"
        /// The recipient opened it.
        Opened "opened"
        /// Came back.
        Bounced "bounced"
        /// The provider is still trying.
        DeliveryDelayed "delivery-delayed"
    }
}

words! {
    /// The same, roughly.
    SimpleStatus {
        /// Not ended yet.
        InProgress "in-progress"
        /// Ended well.
        Ok "ok"
        /// Ended badly.
        Error "error"
    }
}

impl Status {
    /// The status of a mail: the first rule that fits (wire: emails §1.1).
    #[must_use]
    pub fn of(email: &Model) -> Self {
        if email.is_paused {
            return Self::Paused;
        }
        if email.skipped_reason.is_some() {
            return Self::Skipped;
        }
        if email.started_rendering_at.is_none() {
            return Self::Preparing;
        }
        if email.rendered_at.is_none() {
            return Self::Rendering;
        }
        if email.render_error.is_some() {
            return Self::RenderError;
        }
        match (email.started_sending_at, email.finished_sending_at) {
            (None, _) if email.is_queued => Self::Queued,
            (None, _) => Self::Scheduled,
            (Some(_), None) => Self::Sending,
            (Some(_), Some(_)) if email.send_error.is_some() => Self::ServerError,
            (Some(_), Some(_)) => Self::of_delivery(email),
        }
    }

    /// What became of a mail that a server took. Unlike the reference, a bounce shows although the delivery never came.
    fn of_delivery(email: &Model) -> Self {
        if email.can_have_delivery_info != Some(true) {
            Self::Sent
        } else if email.marked_as_spam_at.is_some() {
            Self::MarkedAsSpam
        } else if email.clicked_at.is_some() {
            Self::Clicked
        } else if email.opened_at.is_some() {
            Self::Opened
        } else if email.bounced_at.is_some() {
            Self::Bounced
        } else if email.delivery_delayed_at.is_some() {
            Self::DeliveryDelayed
        } else if email.delivered_at.is_none() {
            Self::Sending
        } else {
            Self::Sent
        }
    }

    /// What it amounts to.
    #[must_use]
    pub fn simple(self) -> SimpleStatus {
        match self {
            Self::Paused | Self::Preparing | Self::Rendering | Self::Scheduled | Self::Queued | Self::Sending => {
                SimpleStatus::InProgress
            }
            Self::RenderError | Self::ServerError | Self::Bounced => SimpleStatus::Error,
            Self::Skipped | Self::Sent | Self::MarkedAsSpam | Self::Clicked | Self::Opened | Self::DeliveryDelayed => {
                SimpleStatus::Ok
            }
        }
    }

    /// The rows that have this status.
    pub(super) fn condition(self) -> Condition {
        RULES.iter().enumerate().filter(|(_, (status, _))| *status == self).fold(
            Condition::any(),
            |any, (place, (_, rule))| {
                let earlier = RULES.iter().take(place).fold(Condition::any(), |any, (_, rule)| any.add(rule()));
                let first = Condition::all().add(rule());
                any.add(if place == 0 { first } else { first.add(earlier.not()) })
            },
        )
    }
}

impl SimpleStatus {
    /// The rows that the list shows under this status. A second derivation that does not look at the paused flag (wire:
    /// emails §1.1).
    pub(super) fn condition(self) -> Condition {
        let failed = || {
            any([Column::RenderError.is_not_null(), Column::SendError.is_not_null(), Column::BouncedAt.is_not_null()])
        };
        let unskipped = Column::SkippedReason.is_null();
        let delivered = any([flag_is_not_set(Column::CanHaveDeliveryInfo), Column::DeliveredAt.is_not_null()]);
        let finished = all([Column::FinishedSendingAt.is_not_null()]).add(delivered);
        match self {
            Self::Error => all([unskipped]).add(failed()),
            Self::Ok => {
                any([Column::SkippedReason.is_not_null()]).add(Condition::all().add(finished).add(failed().not()))
            }
            Self::InProgress => all([unskipped]).add(failed().not()).add(finished.not()),
        }
    }
}

type Rule = (Status, fn() -> Condition);

/// The rules in order; the first that fits decides. None may be unknown (`NULL`), or its negation would hide rows.
const RULES: &[Rule] = &[
    (Status::Paused, || all([Column::IsPaused.eq(true)])),
    (Status::Skipped, || all([Column::SkippedReason.is_not_null()])),
    (Status::Preparing, || all([Column::StartedRenderingAt.is_null()])),
    (Status::Rendering, || all([Column::RenderedAt.is_null()])),
    (Status::RenderError, || all([Column::RenderError.is_not_null()])),
    (Status::Queued, || all([Column::StartedSendingAt.is_null(), Column::IsQueued.eq(true)])),
    (Status::Scheduled, || all([Column::StartedSendingAt.is_null()])),
    (Status::Sending, || all([Column::FinishedSendingAt.is_null()])),
    (Status::ServerError, || all([Column::SendError.is_not_null()])),
    (Status::Sent, || all([flag_is_not_set(Column::CanHaveDeliveryInfo)])),
    (Status::MarkedAsSpam, || all([Column::MarkedAsSpamAt.is_not_null()])),
    (Status::Clicked, || all([Column::ClickedAt.is_not_null()])),
    (Status::Opened, || all([Column::OpenedAt.is_not_null()])),
    (Status::Bounced, || all([Column::BouncedAt.is_not_null()])),
    (Status::DeliveryDelayed, || all([Column::DeliveryDelayedAt.is_not_null()])),
    (Status::Sending, || all([Column::DeliveredAt.is_null()])),
    (Status::Sent, Condition::all),
];

fn all<const N: usize>(conditions: [SimpleExpr; N]) -> Condition {
    conditions.into_iter().fold(Condition::all(), Condition::add)
}

fn any<const N: usize>(conditions: [SimpleExpr; N]) -> Condition {
    conditions.into_iter().fold(Condition::any(), Condition::add)
}

/// True or false, also where the flag was never set.
fn flag_is_not_set(column: Column) -> SimpleExpr {
    use sea_orm::sea_query::{ExprTrait, Func};
    SimpleExpr::from(Func::coalesce([Expr::col(column), Expr::val(false)])).eq(false)
}
