//! Trying rules out: what they would say of somebody, for administrators. Nothing is counted.

use super::{Applicant, Evaluation, Outcome, RiskScores, decision::Decision};
use crate::{
    Actor, Deps, Failure, Level,
    email_address::EmailAddress,
    error::{Result, refuse},
    projects,
    validation::{Violations, is_country_code},
};

/// The ways in that rules know.
const METHODS: &[&str] = &["password", "otp", "oauth", "passkey"];
/// The longest name of a provider, in characters.
const MAX_PROVIDER_CHARS: usize = 100;

/// Somebody made up.
#[derive(Clone, Debug, Default)]
pub struct Hypothetical {
    /// The address; loose syntax.
    pub email: Option<String>,
    /// `password`, `otp`, `oauth` or `passkey`.
    pub auth_method: String,
    /// The type of the provider.
    pub oauth_provider: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country_code: Option<String>,
    /// 0 to 100 each; 0 when not given.
    pub risk_scores: Option<(i64, i64)>,
}

/// What the rules would say.
#[derive(Clone, Debug)]
pub struct TryOut {
    /// The address as conditions see it.
    pub email: String,
    /// Its domain.
    pub email_domain: String,
    /// The country.
    pub country_code: String,
    /// The way in.
    pub auth_method: &'static str,
    /// The provider.
    pub oauth_provider: String,
    /// The scores.
    pub risk_scores: RiskScores,
    /// All rules, in the order in which they are asked.
    pub evaluations: Vec<Evaluation>,
    /// The end of it.
    pub outcome: Outcome,
}

/// Goes through the rules of the caller's project for somebody made up.
///
/// # Errors
/// `FORBIDDEN` below admin level; `SCHEMA_ERROR`.
#[crate::boxed]
pub async fn try_out(deps: &Deps, actor: &Actor, input: Hypothetical) -> Result<TryOut> {
    if actor.level != Level::Admin {
        return refuse(Failure::forbidden("Trying sign-up rules out is for administrators."));
    }
    let mut violations = Violations::default();
    let email = input.email.as_deref().and_then(|email| violations.take("email", EmailAddress::loose(email)));
    let method = METHODS.iter().copied().find(|method| *method == input.auth_method);
    violations.require(method.is_some(), "auth_method", format_args!("must be one of {}", METHODS.join(", ")));
    let country = input.country_code.unwrap_or_default();
    violations.require(country.is_empty() || is_country_code(&country), "country_code", "must be two letters");
    let provider = input.oauth_provider.unwrap_or_default();
    violations.text("oauth_provider", &provider, MAX_PROVIDER_CHARS);
    let (bot, free_trial_abuse) = input.risk_scores.unwrap_or_default();
    let mut score = |name: &str, score: i64| {
        violations.require((0..=100).contains(&score), name, "must be between 0 and 100");
        u8::try_from(score).unwrap_or_default()
    };
    let risk_scores = RiskScores {
        bot: score("risk_scores.bot", bot),
        free_trial_abuse: score("risk_scores.free_trial_abuse", free_trial_abuse),
    };
    violations.finish()?;
    let country = country.to_ascii_uppercase();
    let applicant = Applicant {
        email: email.as_ref().map(EmailAddress::as_str),
        country: Some(&country),
        method: method.unwrap_or("password"),
        oauth_provider: Some(&provider),
        risk_scores,
    };
    let config = projects::config(deps, &actor.project_id).await?;
    let Decision { evaluations, outcome } = Decision::of_all(&config, &applicant);
    Ok(TryOut {
        email: applicant.email.unwrap_or_default().to_owned(),
        email_domain: applicant.email_domain(),
        country_code: country.clone(),
        auth_method: applicant.method,
        oauth_provider: provider.clone(),
        risk_scores,
        evaluations,
        outcome,
    })
}
