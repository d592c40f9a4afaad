//! `/internal/sign-up-rules-*`: what sign-up rules do, and what they would do.

use std::collections::BTreeMap;

use postern_domain::sign_up_rules::{
    self, Evaluation, Hypothetical, RULE_STATISTICS_HOURS, RuleStatistics, RuleTriggers, Status, TryOut, Verdict,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    call::{ADMIN, Call},
    input::{LooseEmail, Nullable, OneOf, Words, input},
    reply::{Answer, Reply, iso},
    routes::{About, Routes},
};

pub(super) fn routes() -> Routes {
    let about = |summary| About::new("Sign-up rules", summary, ADMIN);
    Routes::new()
        .get("/internal/sign-up-rules-stats", statistics, about("Counts how often sign-up rules applied"))
        .post("/internal/sign-up-rules-test", try_out, about("Tries sign-up rules out").body::<Try>())
}

/// Ways in that rules know.
#[derive(Debug)]
struct Methods;

impl Words for Methods {
    const WORDS: &'static [&'static str] = &["password", "otp", "oauth", "passkey"];
}

/// What Turnstile may have said.
#[derive(Debug)]
struct TurnstileResults;

impl Words for TurnstileResults {
    const WORDS: &'static [&'static str] = &["ok", "invalid", "error"];
}

input! {
    struct Try {
        email: Nullable<LooseEmail>,
        auth_method: OneOf<Methods>,
        oauth_provider: Nullable<String>,
        country_code: Nullable<String>,
        #[expect(dead_code, reason = "no variable of conditions")]
        turnstile_result: Option<OneOf<TurnstileResults>>,
        risk_scores: Option<Scores>,
    }
}

input! {
    struct Scores { bot: i64, free_trial_abuse: i64 }
}

/// Statistics of the last 48 hours, and of all time.
#[derive(Debug, Serialize, JsonSchema)]
struct Statistics {
    rule_triggers: Vec<TriggersView>,
    analytics_hours: i64,
    total_triggers: i64,
    triggers_by_action: BTreeMap<&'static str, i64>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SignUpRuleTriggers")]
struct TriggersView {
    rule_id: String,
    total_count: i64,
    all_time_count: i64,
    hourly_counts: Vec<HourView>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SignUpRuleHour")]
struct HourView {
    /// When it began, RFC 3339.
    hour: String,
    count: i64,
}

impl From<RuleTriggers> for TriggersView {
    fn from(rule: RuleTriggers) -> Self {
        let hour = |(began, count): (postern_domain::Timestamp, i64)| HourView { hour: iso(began), count };
        Self {
            rule_id: rule.rule_id,
            total_count: rule.total,
            all_time_count: rule.all_time,
            hourly_counts: rule.hourly.into_iter().map(hour).collect(),
        }
    }
}

/// What the rules would say of somebody.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SignUpRulesTest")]
struct Tried {
    context: ContextView,
    evaluations: Vec<EvaluationView>,
    outcome: OutcomeView,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SignUpRuleContext")]
struct ContextView {
    email: String,
    email_domain: String,
    country_code: String,
    auth_method: &'static str,
    oauth_provider: String,
    risk_scores: ScoresView,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SignUpRiskScores")]
struct ScoresView {
    bot: u8,
    free_trial_abuse: u8,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SignUpRuleEvaluation")]
struct EvaluationView {
    rule_id: String,
    display_name: String,
    enabled: bool,
    condition: String,
    status: &'static str,
    action: ActionView,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SignUpRuleActionView")]
struct ActionView {
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SignUpRulesOutcome")]
struct OutcomeView {
    should_allow: bool,
    decision: &'static str,
    decision_rule_id: Option<String>,
    restricted_because_of_rule_id: Option<String>,
}

impl From<Evaluation> for EvaluationView {
    fn from(evaluation: Evaluation) -> Self {
        Self {
            rule_id: evaluation.rule_id,
            display_name: evaluation.display_name.unwrap_or_default(),
            enabled: evaluation.enabled,
            condition: evaluation.condition.unwrap_or_default(),
            status: match evaluation.status {
                Status::Matched => "matched",
                Status::NotMatched => "not_matched",
                Status::Disabled => "disabled",
                Status::MissingCondition => "missing_condition",
                Status::Error => "error",
            },
            action: ActionView { kind: evaluation.action.as_str() },
            error: evaluation.error,
        }
    }
}

impl From<TryOut> for Tried {
    fn from(tried: TryOut) -> Self {
        Self {
            context: ContextView {
                email: tried.email,
                email_domain: tried.email_domain,
                country_code: tried.country_code,
                auth_method: tried.auth_method,
                oauth_provider: tried.oauth_provider,
                risk_scores: ScoresView {
                    bot: tried.risk_scores.bot,
                    free_trial_abuse: tried.risk_scores.free_trial_abuse,
                },
            },
            evaluations: tried.evaluations.into_iter().map(Into::into).collect(),
            outcome: OutcomeView {
                should_allow: tried.outcome.should_allow(),
                decision: match tried.outcome.verdict {
                    Verdict::Allow => "allow",
                    Verdict::Reject => "reject",
                    Verdict::DefaultAllow => "default-allow",
                    Verdict::DefaultReject => "default-reject",
                },
                decision_rule_id: tried.outcome.decision_rule_id,
                restricted_because_of_rule_id: tried.outcome.restricted_because_of,
            },
        }
    }
}

async fn statistics(mut call: Call) -> Answer<Statistics> {
    let actor = call.actor(ADMIN)?;
    let RuleStatistics { rules, total, by_action } = sign_up_rules::statistics(&call.deps, &actor).await?;
    Ok(Reply::ok(Statistics {
        rule_triggers: rules.into_iter().map(Into::into).collect(),
        analytics_hours: RULE_STATISTICS_HOURS,
        total_triggers: total,
        triggers_by_action: by_action,
    }))
}

async fn try_out(mut call: Call) -> Answer<Tried> {
    let actor = call.actor(ADMIN)?;
    let body: Try = call.body()?;
    let input = Hypothetical {
        email: body.email.0.map(|email| email.0),
        auth_method: body.auth_method.word.to_owned(),
        oauth_provider: body.oauth_provider.0,
        country_code: body.country_code.0,
        risk_scores: body.risk_scores.map(|scores| (scores.bot, scores.free_trial_abuse)),
    };
    Ok(Reply::ok(sign_up_rules::try_out(&call.deps, &actor, input).await?.into()))
}
