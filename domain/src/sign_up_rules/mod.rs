//! Sign-up rules: what a project says about who may make an account (wire/auth §13). Conditions in a part of CEL, the Common
//! Expression Language, over who applies; the first rule that says allow or reject decides.
//!
//! `condition.rs` reads and bounds conditions, `decision.rs` goes through the rules, `triggers.rs` counts those that applied,
//! `try_out.rs` is for administrators who write them.

mod condition;
mod decision;
mod store;
mod triggers;
mod try_out;

pub(crate) use self::{
    condition::Compiled,
    decision::{Admission, Decision},
};
pub use self::{
    decision::{Applicant, Evaluation, Outcome, RiskScores, Status, Verdict},
    triggers::{RULE_STATISTICS_HOURS, RuleStatistics, RuleTriggers, prune_step, statistics},
    try_out::{Hypothetical, TryOut, try_out},
};

#[cfg(test)]
mod tests;
