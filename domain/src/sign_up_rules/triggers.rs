//! How often rules applied. One row each time, so that sign-ups at once do not wait for each other; what is older than the
//! statistics show is folded into a total.

use std::collections::BTreeMap;

use postern_entity::sign_up_rule_trigger;
use sea_orm::ActiveValue::Set;

use super::store;
use crate::{
    Actor, Deps, Failure, Level, ProjectId, SignUpRuleTriggerId, Timestamp,
    db::Tx,
    error::{Result, refuse},
    projects::{self, SignUpAction},
};

/// For how many hours, the present one included, the statistics go into detail (wire/auth §13).
pub const RULE_STATISTICS_HOURS: i64 = 48;
const HOUR_MILLIS: i64 = 60 * 60 * 1000;
/// How many rows one pruning folds.
const PRUNE_BATCH: u64 = 100;

/// How often the rules of a project applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleStatistics {
    /// By rule, those of the config and those that applied before they were removed.
    pub rules: Vec<RuleTriggers>,
    /// Within the hours.
    pub total: i64,
    /// Within the hours, by action.
    pub by_action: BTreeMap<&'static str, i64>,
}

/// How often a rule applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTriggers {
    /// Config key of the rule.
    pub rule_id: String,
    /// Within the hours.
    pub total: i64,
    /// Ever.
    pub all_time: i64,
    /// [`RULE_STATISTICS_HOURS`] hours, oldest first: when it began, and how often.
    pub hourly: Vec<(Timestamp, i64)>,
}

/// Counts rules that applied to one sign-up.
pub(super) async fn count_in(
    deps: &Deps,
    tx: &Tx,
    project_id: &ProjectId,
    triggers: &[(String, SignUpAction)],
) -> Result<()> {
    if triggers.is_empty() {
        return Ok(());
    }
    let row = |(rule_id, action): &(String, SignUpAction)| sign_up_rule_trigger::ActiveModel {
        id: Set(SignUpRuleTriggerId::random()),
        project_id: Set(project_id.clone()),
        rule_id: Set(rule_id.clone()),
        action: Set(action.as_str().to_owned()),
        created_at: Set(deps.now()),
    };
    store::insert(tx, triggers.iter().map(row).collect()).await
}

/// How often the rules of the caller's project applied, for administrators.
///
/// # Errors
/// `FORBIDDEN` below admin level.
#[crate::boxed]
pub async fn statistics(deps: &Deps, actor: &Actor) -> Result<RuleStatistics> {
    if actor.level != Level::Admin {
        return refuse(Failure::forbidden("Statistics of sign-up rules are for administrators."));
    }
    let (project_id, reader) = (&actor.project_id, deps.db.read());
    let this_hour = deps.now().millis().div_euclid(HOUR_MILLIS);
    let first = this_hour - (RULE_STATISTICS_HOURS - 1);
    let config = projects::config(deps, project_id).await?;
    let mut by_rule: BTreeMap<String, (i64, BTreeMap<i64, i64>)> =
        config.auth.sign_up_rules.keys().map(|id| (id.clone(), Default::default())).collect();
    for (rule_id, count) in store::totals(reader, project_id).await? {
        by_rule.entry(rule_id).or_default().0 += count;
    }
    let mut by_action: BTreeMap<_, _> = SignUpAction::ALL.iter().map(|action| (action.as_str(), 0)).collect();
    for hour in store::by_hour(reader, project_id, Timestamp(first * HOUR_MILLIS)).await? {
        *by_rule.entry(hour.rule_id).or_default().1.entry(hour.hour).or_default() += hour.count;
        if let Some(count) = by_action.get_mut(hour.action.as_str()) {
            *count += hour.count;
        }
    }
    let rules = by_rule.into_iter().map(|(rule_id, (all_time, hours))| {
        let hourly: Vec<_> = (first..=this_hour)
            .map(|hour| (Timestamp(hour * HOUR_MILLIS), hours.get(&hour).copied().unwrap_or_default()))
            .collect();
        RuleTriggers { rule_id, total: hourly.iter().map(|(_, count)| count).sum(), all_time, hourly }
    });
    let rules: Vec<_> = rules.collect();
    Ok(RuleStatistics { total: rules.iter().map(|rule| rule.total).sum(), rules, by_action })
}

/// Folds some of what is older than the statistics show, of all projects. Answers whether more may be left.
///
/// # Errors
/// Those of the database.
#[crate::boxed]
pub async fn prune_step(deps: &Deps) -> Result<bool> {
    let before = deps.now().plus_millis(-RULE_STATISTICS_HOURS * HOUR_MILLIS);
    deps.db
        .write(|tx| async move {
            let old = store::oldest(&tx, before, PRUNE_BATCH).await?;
            let more = old.len() as u64 == PRUNE_BATCH;
            let mut folded: BTreeMap<(ProjectId, String), Vec<SignUpRuleTriggerId>> = BTreeMap::new();
            for row in old {
                folded.entry((row.project_id, row.rule_id)).or_default().push(row.id);
            }
            for ((project_id, rule_id), ids) in folded {
                // Another worker may have folded some of them: only what this one removes it adds.
                let removed = store::remove(&tx, ids).await?;
                if removed > 0 {
                    store::add_to_total(&tx, &project_id, &rule_id, i64::try_from(removed).unwrap_or_default()).await?;
                }
            }
            Ok(more)
        })
        .await
}
