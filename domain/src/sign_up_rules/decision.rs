//! Going through the rules, highest priority first.

use std::cmp::Reverse;

use serde_json::json;

use super::triggers;
use crate::{
    Code, Deps, ProjectId,
    db::Tx,
    email_address::EmailAddress,
    error::{Error, Failure, Result, refuse},
    events::{self, EventKind, NewEvent},
    projects::{ProjectConfig, SignUpAction, SignUpRule},
    sessions::{Method, Way},
};

/// Who wants to sign up, as conditions see it.
#[derive(Clone, Debug)]
pub struct Applicant<'a> {
    /// The address, normalised.
    pub email: Option<&'a str>,
    /// ISO 3166-1 alpha-2, where it is known.
    pub country: Option<&'a str>,
    /// `password`, `otp`, `oauth` or `passkey`.
    pub method: &'static str,
    /// The type of the provider.
    pub oauth_provider: Option<&'a str>,
    /// How risky it looks.
    pub risk_scores: RiskScores,
}

/// 0 to 100 each. Nothing here measures them: zero unless an administrator tries others out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RiskScores {
    /// A program.
    pub bot: u8,
    /// Somebody who had a free trial before.
    pub free_trial_abuse: u8,
}

impl<'a> Applicant<'a> {
    /// Somebody on the way in.
    pub(crate) fn of(email: Option<&'a EmailAddress>, way: &Way<'a>) -> Self {
        Self {
            email: email.map(EmailAddress::as_str),
            country: way.client.country.as_deref(),
            method: name_of(way.method),
            oauth_provider: way.provider,
            risk_scores: RiskScores::default(),
        }
    }
}

impl Applicant<'_> {
    /// The domain of the address in lower case; empty without one.
    pub(super) fn email_domain(&self) -> String {
        let domain = self.email.and_then(|email| email.rsplit_once('@'));
        domain.map(|(_, domain)| domain.to_lowercase()).unwrap_or_default()
    }
}

fn name_of(method: Method) -> &'static str {
    match method {
        Method::Otp => "otp",
        Method::Passkey => "passkey",
        Method::Oauth => "oauth",
        // The others make no users that rules are asked about.
        Method::Password | Method::Anonymous | Method::Server => "password",
    }
}

/// What became of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
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

/// What became of a rule, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// Config key of the rule.
    pub rule_id: String,
    /// Its name.
    pub display_name: Option<String>,
    /// Whether it is on.
    pub enabled: bool,
    /// Its condition.
    pub condition: Option<String>,
    /// What it does where it applies.
    pub action: SignUpAction,
    /// What became of it.
    pub status: Status,
    /// What is wrong with its condition.
    pub error: Option<String>,
}

impl Evaluation {
    fn applies(&self, action: SignUpAction) -> bool {
        self.status == Status::Matched && self.action == action
    }

    /// Whether no further rule is asked.
    fn decides(&self) -> bool {
        self.applies(SignUpAction::Allow) || self.applies(SignUpAction::Reject)
    }
}

/// What the rules say in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A rule lets in.
    Allow,
    /// A rule keeps out.
    Reject,
    /// No rule says so, and the project lets in then.
    DefaultAllow,
    /// No rule says so, and the project keeps out then.
    DefaultReject,
}

/// The end of going through the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// In or out.
    pub verdict: Verdict,
    /// The rule that said so.
    pub decision_rule_id: Option<String>,
    /// The rule that lets in with restrictions.
    pub restricted_because_of: Option<String>,
}

impl Outcome {
    /// Whether they are let in.
    #[must_use]
    pub fn should_allow(&self) -> bool {
        matches!(self.verdict, Verdict::Allow | Verdict::DefaultAllow)
    }
}

/// What all rules of a project say of somebody.
#[derive(Clone, Debug)]
pub(crate) struct Decision {
    pub(super) evaluations: Vec<Evaluation>,
    pub(super) outcome: Outcome,
}

impl Decision {
    /// Goes through the rules up to the one that decides.
    pub(crate) fn of(config: &ProjectConfig, applicant: &Applicant<'_>) -> Self {
        Self::by(config, applicant, false)
    }

    /// Goes through all rules, for whoever tries them out. Those behind the one that decides change nothing.
    pub(super) fn of_all(config: &ProjectConfig, applicant: &Applicant<'_>) -> Self {
        Self::by(config, applicant, true)
    }

    fn by(config: &ProjectConfig, applicant: &Applicant<'_>, goes_on: bool) -> Self {
        let mut rules: Vec<_> = config.auth.sign_up_rules.iter().collect();
        rules.sort_by_key(|(id, rule)| (Reverse(rule.priority), (*id).clone()));
        let mut evaluations = Vec::with_capacity(rules.len());
        for (id, rule) in rules {
            let evaluation = evaluate(id, rule, applicant);
            let ends = evaluation.decides() && !goes_on;
            evaluations.push(evaluation);
            if ends {
                break;
            }
        }
        let decision = evaluations.iter().find(|evaluation| evaluation.decides());
        let verdict = match decision.map(|evaluation| evaluation.action) {
            Some(SignUpAction::Reject) => Verdict::Reject,
            Some(_) => Verdict::Allow,
            None if config.auth.sign_up_rules_default_action == SignUpAction::Reject => Verdict::DefaultReject,
            None => Verdict::DefaultAllow,
        };
        let mut before = evaluations.iter().take_while(|evaluation| !evaluation.decides());
        let restricted = before.find(|evaluation| evaluation.applies(SignUpAction::Restrict));
        let outcome = Outcome {
            verdict,
            decision_rule_id: decision.map(|evaluation| evaluation.rule_id.clone()),
            restricted_because_of: restricted.map(|evaluation| evaluation.rule_id.clone()),
        };
        Self { evaluations, outcome }
    }

    /// The rules that applied, in order.
    fn triggers(&self) -> Vec<(String, SignUpAction)> {
        let matched = self.evaluations.iter().filter(|evaluation| evaluation.status == Status::Matched);
        matched.map(|evaluation| (evaluation.rule_id.clone(), evaluation.action)).collect()
    }

    /// That they are let in, and how.
    ///
    /// # Errors
    /// `SIGN_UP_REJECTED`. Whoever gets it calls [`Self::record_rejection`], outside of its transaction.
    pub(crate) fn admission(&self) -> Result<Admission> {
        if !self.outcome.should_allow() {
            // What the rule says of it is for its author.
            const TEXT: &str = "Your sign-up was rejected. Please contact the administrators.";
            return refuse(Failure::new(Code::SignUpRejected, TEXT).with(json!({ "message": TEXT })));
        }
        Ok(Admission { triggers: self.triggers(), restricted_by: self.outcome.restricted_because_of.clone() })
    }

    /// The same where there is no transaction yet.
    ///
    /// # Errors
    /// `SIGN_UP_REJECTED`, which is recorded.
    pub(crate) async fn admit(&self, deps: &Deps, way: &Way<'_>) -> Result<Admission> {
        let admission = self.admission();
        if admission.is_err() {
            self.record_rejection(deps, way).await?;
        }
        admission
    }

    /// Counts the rules that applied to somebody who was kept out, and tells the audit.
    pub(crate) async fn record_rejection(&self, deps: &Deps, way: &Way<'_>) -> Result<()> {
        let (project_id, triggers) = (&way.actor.project_id, &self.triggers());
        let method = serde_json::to_value(way.method).map_err(Error::internal)?;
        let event = &events::from(
            way.client,
            events::by(
                Some(way.actor),
                NewEvent {
                    project_id: project_id.clone(),
                    kind: EventKind::SignUpRejected,
                    user_id: None,
                    team_id: None,
                    payload: json!({ "rule_id": self.outcome.decision_rule_id, "method": method }),
                },
            ),
        );
        deps.db
            .write(|tx| async move {
                triggers::count_in(deps, &tx, project_id, triggers).await?;
                events::record(deps, &tx, event.clone()).await
            })
            .await
    }
}

/// Somebody whom the rules let in.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    triggers: Vec<(String, SignUpAction)>,
    restricted_by: Option<String>,
}

impl Admission {
    /// Counts the rules that applied, in the transaction that makes the user.
    pub(crate) async fn count_in(&self, deps: &Deps, tx: &Tx, project_id: &ProjectId) -> Result<()> {
        triggers::count_in(deps, tx, project_id, &self.triggers).await
    }

    /// What servers are told of the restriction, if there is one.
    pub(crate) fn restriction(&self) -> Option<String> {
        self.restricted_by.as_ref().map(|rule| format!("Restricted by the sign-up rule {rule}."))
    }
}

fn evaluate(id: &str, rule: &SignUpRule, applicant: &Applicant<'_>) -> Evaluation {
    let condition = rule.condition.clone().filter(|condition| !condition.trim().is_empty());
    let (status, error) = match &condition {
        _ if !rule.enabled => (Status::Disabled, None),
        None => (Status::MissingCondition, None),
        Some(condition) => {
            match rule.compiled.get(condition).as_ref().map_err(Clone::clone).and_then(|read| read.holds(applicant)) {
                Ok(true) => (Status::Matched, None),
                Ok(false) => (Status::NotMatched, None),
                Err(error) => (Status::Error, Some(error)),
            }
        }
    };
    Evaluation {
        rule_id: id.to_owned(),
        display_name: rule.display_name.clone(),
        enabled: rule.enabled,
        condition,
        action: rule.action.kind,
        status,
        error,
    }
}
