//! What sign-up rules do, and what they would do, for administrators.

use async_graphql::{Context, Enum, InputObject};
use postern_domain::sign_up_rules::{self, Evaluation, Hypothetical, RuleTriggers, Status, TryOut, Verdict};
use postern_gateway_macros::guarded;

use crate::graphql::{
    error::Result,
    scalars::DateTime,
    schema::{actor, deps},
};

/// Queries of sign-up rules.
#[derive(Default)]
pub(crate) struct SignUpRuleQuery;

#[guarded(root)]
impl SignUpRuleQuery {
    /// How often each sign-up rule applied: within the last 48 hours, hour by hour, and ever.
    #[access(ADMIN)]
    #[graphql(complexity = "10 * child_complexity + 10")]
    async fn sign_up_rule_statistics(&self, ctx: &Context<'_>) -> Result<Option<Vec<SignUpRuleStatistics>>> {
        let statistics = sign_up_rules::statistics(deps(ctx)?, actor(ctx)?).await?;
        Ok(Some(statistics.rules.into_iter().map(Into::into).collect()))
    }

    /// What the sign-up rules would say of somebody. Nothing is counted.
    #[access(ADMIN)]
    #[graphql(complexity = "10 * child_complexity + 10")]
    async fn test_sign_up_rules(
        &self,
        ctx: &Context<'_>,
        input: TestSignUpRulesInput,
    ) -> Result<Option<SignUpRulesTest>> {
        let input = Hypothetical {
            email: input.email,
            auth_method: input.method.as_str().to_owned(),
            oauth_provider: input.oauth_provider,
            country_code: input.country_code,
            risk_scores: Some((i64::from(input.bot_score), i64::from(input.free_trial_abuse_score))),
        };
        Ok(Some(sign_up_rules::try_out(deps(ctx)?, actor(ctx)?, input).await?.into()))
    }
}

/// Somebody made up who signs up.
#[derive(InputObject)]
pub(crate) struct TestSignUpRulesInput {
    /// The address.
    email: Option<String>,
    /// The way in.
    method: SignUpMethod,
    /// The type of the provider.
    oauth_provider: Option<String>,
    /// As ISO 3166-1 alpha-2.
    country_code: Option<String>,
    /// 0 to 100.
    #[graphql(default)]
    bot_score: i32,
    /// 0 to 100.
    #[graphql(default)]
    free_trial_abuse_score: i32,
}

/// The ways in that sign-up rules know.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
pub(crate) enum SignUpMethod {
    /// By password.
    Password,
    /// By a mailed code.
    Otp,
    /// By an account of another site.
    Oauth,
    /// By passkey.
    Passkey,
}

impl SignUpMethod {
    fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Otp => "otp",
            Self::Oauth => "oauth",
            Self::Passkey => "passkey",
        }
    }
}

/// How often a sign-up rule applied.
#[guarded(ADMIN)]
pub(crate) struct SignUpRuleStatistics {
    /// Config key of the rule.
    #[access(ADMIN)]
    key: String,
    /// Within the last 48 hours.
    #[access(ADMIN)]
    count: i64,
    /// Ever.
    #[access(ADMIN)]
    total_count: i64,
    /// The last 48 hours, oldest first.
    #[access(ADMIN)]
    hours: Vec<SignUpRuleHour>,
}

/// How often a sign-up rule applied in an hour.
#[guarded(ADMIN)]
pub(crate) struct SignUpRuleHour {
    /// When it began.
    #[access(ADMIN)]
    began_at: DateTime,
    /// How often.
    #[access(ADMIN)]
    count: i64,
}

impl From<RuleTriggers> for SignUpRuleStatistics {
    fn from(rule: RuleTriggers) -> Self {
        let hours = rule.hourly.into_iter().map(|(at, count)| SignUpRuleHour { began_at: at.into(), count });
        Self { key: rule.rule_id, count: rule.total, total_count: rule.all_time, hours: hours.collect() }
    }
}

/// What the sign-up rules say of somebody.
#[guarded(ADMIN)]
pub(crate) struct SignUpRulesTest {
    /// Whether they are let in.
    #[access(ADMIN)]
    should_allow: bool,
    /// Why.
    #[access(ADMIN)]
    decision: SignUpDecision,
    /// Config key of the rule that said so.
    #[access(ADMIN)]
    decided_by: Option<String>,
    /// Config key of the rule that lets in with restrictions.
    #[access(ADMIN)]
    restricted_by: Option<String>,
    /// All rules, in the order in which they are asked.
    #[access(ADMIN)]
    evaluations: Vec<SignUpRuleEvaluation>,
}

/// Why somebody is let in or kept out.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
pub(crate) enum SignUpDecision {
    /// A rule lets in.
    Allow,
    /// A rule keeps out.
    Reject,
    /// No rule says so.
    DefaultAllow,
    /// No rule says so.
    DefaultReject,
}

/// What became of a sign-up rule.
#[guarded(ADMIN)]
pub(crate) struct SignUpRuleEvaluation {
    /// Config key of the rule.
    #[access(ADMIN)]
    key: String,
    /// What became of it.
    #[access(ADMIN)]
    status: SignUpRuleStatus,
    /// What it does where it applies: `allow`, `reject`, `restrict` or `log`.
    #[access(ADMIN)]
    action: &'static str,
    /// What is wrong with its condition.
    #[access(ADMIN)]
    error: Option<String>,
}

/// What became of a sign-up rule.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
pub(crate) enum SignUpRuleStatus {
    /// Its condition holds.
    Matched,
    /// Its condition does not hold.
    NotMatched,
    /// It is switched off.
    Disabled,
    /// It has no condition.
    MissingCondition,
    /// Its condition cannot be used.
    Error,
}

impl From<Evaluation> for SignUpRuleEvaluation {
    fn from(evaluation: Evaluation) -> Self {
        Self {
            key: evaluation.rule_id,
            status: match evaluation.status {
                Status::Matched => SignUpRuleStatus::Matched,
                Status::NotMatched => SignUpRuleStatus::NotMatched,
                Status::Disabled => SignUpRuleStatus::Disabled,
                Status::MissingCondition => SignUpRuleStatus::MissingCondition,
                Status::Error => SignUpRuleStatus::Error,
            },
            action: evaluation.action.as_str(),
            error: evaluation.error,
        }
    }
}

impl From<TryOut> for SignUpRulesTest {
    fn from(tried: TryOut) -> Self {
        Self {
            should_allow: tried.outcome.should_allow(),
            decision: match tried.outcome.verdict {
                Verdict::Allow => SignUpDecision::Allow,
                Verdict::Reject => SignUpDecision::Reject,
                Verdict::DefaultAllow => SignUpDecision::DefaultAllow,
                Verdict::DefaultReject => SignUpDecision::DefaultReject,
            },
            decided_by: tried.outcome.decision_rule_id,
            restricted_by: tried.outcome.restricted_because_of,
            evaluations: tried.evaluations.into_iter().map(Into::into).collect(),
        }
    }
}
