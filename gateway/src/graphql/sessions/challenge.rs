//! The bot challenge, as several mutations are told of it.

use async_graphql::{Enum, InputObject};
use postern_domain::bot_challenge::{BotChallenge, Phase};

/// What shows that it is no program.
#[derive(InputObject)]
pub(crate) struct BotChallengeInput {
    /// What the browser got for solving the challenge.
    #[graphql(secret)]
    token: Option<String>,
    /// How it was shown.
    phase: BotChallengePhase,
    /// Whether the browser could not load it.
    #[graphql(default)]
    is_unavailable: bool,
}

/// How a bot challenge was shown.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
pub(crate) enum BotChallengePhase {
    /// In the background.
    Invisible,
    /// For somebody to click.
    Visible,
}

impl From<BotChallengeInput> for BotChallenge {
    fn from(input: BotChallengeInput) -> Self {
        Self {
            token: input.token,
            phase: Some(match input.phase {
                BotChallengePhase::Invisible => Phase::Invisible,
                BotChallengePhase::Visible => Phase::Visible,
            }),
            is_unavailable: input.is_unavailable,
        }
    }
}
