//! The one sentence of state at the head of a page, with its reason: words that a manager would understand.

use holdfast_model::{
    state::{Integrity, Proof},
    view::{CheckpointView, EnvironmentView, Overview},
};
use time::OffsetDateTime;

use crate::{components::word::Tone, text};

/// A sentence, its reason, and how it feels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// How it feels.
    pub tone: Tone,
    /// The sentence.
    pub text: String,
    /// Why it is so.
    pub reason: String,
}

fn sentence(tone: Tone, text: impl Into<String>, reason: impl Into<String>) -> Sentence {
    Sentence { tone, text: text.into(), reason: reason.into() }
}

/// The proof of an environment's newest checkpoint; none where it has no checkpoint.
fn newest_proof(environment: &EnvironmentView) -> Option<Proof> {
    environment.latest.as_ref().map(|latest| latest.proof)
}

/// All environments together.
pub fn of_overview(overview: &Overview) -> Sentence {
    let all = overview.environments.len();
    let behind: Vec<&EnvironmentView> =
        overview.environments.iter().filter(|e| newest_proof(e) != Some(Proof::Proven)).collect();
    let reason = |e: &EnvironmentView| of_environment(overview.now, e).reason;
    let worst = behind
        .iter()
        .find(|e| newest_proof(e) == Some(Proof::Failed) || is_damaged(e))
        .or_else(|| behind.iter().find(|e| newest_proof(e).is_none()))
        .or_else(|| behind.first());
    let damaged = overview.environments.iter().find(|e| is_damaged(e));
    match (all, damaged.or(worst.copied())) {
        (0, _) => sentence(
            Tone::Plain,
            "Nothing is protected yet.",
            "Holdfast does not know an application so far. Apply a definition to begin.",
        ),
        (1, None) => sentence(
            Tone::Good,
            "Everything is proven.",
            format!(
                "The newest checkpoint of {} was restored and compared, and every row was equal.",
                overview.environments[0].name
            ),
        ),
        (_, None) => sentence(
            Tone::Good,
            "Everything is proven.",
            format!(
                "The newest checkpoint of each of the {all} environments was restored and compared, and every row was equal."
            ),
        ),
        (_, Some(one)) => {
            let many = behind.len().max(1);
            let text = if many == 1 {
                format!("{} needs attention.", one.name)
            } else {
                format!("{many} of {all} environments need attention.")
            };
            let why = if many == 1 { reason(one) } else { format!("{}: {}", one.name, reason(one)) };
            let tone = if newest_proof(one) == Some(Proof::Failed) || is_damaged(one) { Tone::Bad } else { Tone::Warn };
            sentence(tone, text, why)
        }
    }
}

fn is_damaged(environment: &EnvironmentView) -> bool {
    environment.latest.as_ref().is_some_and(|latest| latest.integrity == Integrity::Damaged)
}

/// One environment.
pub fn of_environment(now: OffsetDateTime, environment: &EnvironmentView) -> Sentence {
    let Some(latest) = &environment.latest else {
        return sentence(
            Tone::Warn,
            "There is no checkpoint yet.",
            "Nothing could be put back. Take the first one before anything changes.",
        );
    };
    let taken = text::ago(now, latest.created_at);
    let before = match &environment.latest_proven {
        Some(proven) => format!("The newest proven one was taken {}.", text::ago(now, proven.created_at)),
        None => "No checkpoint of it is proven.".to_owned(),
    };
    if latest.integrity == Integrity::Damaged {
        return sentence(
            Tone::Bad,
            "The newest checkpoint is damaged.",
            format!("Bytes in the vault are not as they were written. {before}"),
        );
    }
    match latest.proof {
        Proof::Proven => sentence(
            Tone::Good,
            "The newest checkpoint is proven.",
            format!("It was taken {taken}, restored into a throwaway copy, and every row was equal."),
        ),
        Proof::Partial => sentence(
            Tone::Warn,
            "The newest checkpoint is proven in part.",
            format!("All that was compared was equal, but something could not be compared. {before}"),
        ),
        Proof::Unproven => sentence(
            Tone::Warn,
            "The newest checkpoint is not proven.",
            format!("It was taken {taken} and no drill has spoken. {before}"),
        ),
        Proof::Failed => sentence(
            Tone::Bad,
            "The drill of the newest checkpoint failed.",
            format!("What was restored is not what was sealed. The gate stays shut. {before}"),
        ),
        Proof::Stale => sentence(
            Tone::Warn,
            "The newest proof is stale.",
            format!("It was proven longer ago than its policy allows. {before}"),
        ),
    }
}

/// One checkpoint.
pub fn of_checkpoint(now: OffsetDateTime, checkpoint: &CheckpointView) -> Sentence {
    if checkpoint.integrity == Integrity::Damaged {
        return sentence(
            Tone::Bad,
            "This checkpoint is damaged.",
            "Bytes in the vault are missing or changed. Do not rely on it; take another one now.",
        );
    }
    let report = checkpoint.drill.as_ref().map(|drill| &drill.report);
    let when = report.map_or_else(String::new, |r| text::ago(now, r.started_at));
    let reason = report.and_then(|r| r.reason.clone());
    match checkpoint.proof {
        Proof::Proven => {
            let rows: u64 = checkpoint.ledger.values().flat_map(|t| t.values()).map(|t| t.rows).sum();
            let tables: usize = checkpoint.ledger.values().map(|t| t.len()).sum();
            let took = report.map_or_else(String::new, |r| format!(" in {}", text::duration(r.duration_ms)));
            let compared = if tables == 0 {
                String::new()
            } else {
                format!(
                    " {} in {} were counted and hashed on both sides, all equal.",
                    text::counted(rows, "row"),
                    text::counted(u64::try_from(tables).unwrap_or(0), "table")
                )
            };
            sentence(Tone::Good, "This checkpoint is proven.", format!("It was restored{took}, {when}.{compared}"))
        }
        Proof::Partial => sentence(
            Tone::Warn,
            "This checkpoint is proven in part.",
            reason
                .unwrap_or_else(|| "All that was compared was equal, but something could not be compared.".to_owned()),
        ),
        Proof::Unproven => sentence(
            Tone::Warn,
            "This checkpoint is not proven.",
            reason.unwrap_or_else(|| "No drill has spoken. Drill it to know whether it can be restored.".to_owned()),
        ),
        Proof::Failed => sentence(
            Tone::Bad,
            "The drill of this checkpoint failed.",
            reason.unwrap_or_else(|| "What was restored is not what was sealed. The gate stays shut.".to_owned()),
        ),
        Proof::Stale => sentence(
            Tone::Warn,
            "The proof of this checkpoint is stale.",
            format!("It was proven {when}. Drill it again."),
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use holdfast_model::{
        id::{CheckpointId, EnvironmentId},
        state::Trigger,
        view::{CheckpointSummary, EnvironmentRef},
    };

    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn environment(name: &str, proof: Option<Proof>) -> EnvironmentView {
        let id = EnvironmentId::from_parts(1, 1);
        let latest = proof.map(|proof| CheckpointSummary {
            id: CheckpointId::from_parts(1, 1),
            name: None,
            environment: EnvironmentRef {
                id: id.clone(),
                name: name.parse().unwrap(),
                project: "shop".parse().unwrap(),
            },
            created_at: NOW - time::Duration::hours(2),
            created_by: "ada".to_owned(),
            trigger: Trigger::Button,
            tags: Vec::new(),
            commit: None,
            total: 1,
            stored: 1,
            proof,
            integrity: Integrity::Unchecked,
        });
        EnvironmentView {
            id,
            name: name.parse().unwrap(),
            project: "shop".parse().unwrap(),
            address: None,
            components: Vec::new(),
            not_in_force: Vec::new(),
            latest_proven: latest.clone().filter(|l| l.proof == Proof::Proven),
            latest,
            recovery_ms: None,
            checkpoints: 1,
            total: 1,
            stored: 1,
            running: None,
            applied_at: NOW,
            to_confirm: false,
            warnings: Vec::new(),
        }
    }

    fn overview(environments: Vec<EnvironmentView>) -> Overview {
        Overview {
            now: NOW,
            environments,
            proven: 0,
            oldest_proof: None,
            total: 0,
            stored: 0,
            storage: Vec::new(),
            attention: Vec::new(),
            running: Vec::new(),
            last: Vec::new(),
        }
    }

    fn said(environments: Vec<EnvironmentView>) -> (Tone, String) {
        let said = of_overview(&overview(environments));
        (said.tone, said.text)
    }

    #[test]
    fn green_needs_every_environment_proven() {
        let proven = || environment("production", Some(Proof::Proven));
        assert_eq!(said(vec![proven()]), (Tone::Good, "Everything is proven.".to_owned()));
        for proof in [Proof::Partial, Proof::Unproven, Proof::Stale] {
            let all = vec![proven(), environment("staging", Some(proof))];
            assert_eq!(said(all), (Tone::Warn, "staging needs attention.".to_owned()), "{proof}");
        }
        let all = vec![proven(), environment("staging", None)];
        assert_eq!(said(all), (Tone::Warn, "staging needs attention.".to_owned()));
    }

    #[test]
    fn the_worst_one_is_named_first() {
        let all = vec![environment("a", Some(Proof::Unproven)), environment("b", Some(Proof::Failed))];
        let said = of_overview(&overview(all));
        assert_eq!(said.tone, Tone::Bad);
        assert_eq!(said.text, "2 of 2 environments need attention.");
        assert!(said.reason.starts_with("b: "), "{}", said.reason);
    }

    #[test]
    fn damage_outweighs_a_proof() {
        let mut damaged = environment("production", Some(Proof::Proven));
        damaged.latest.as_mut().unwrap().integrity = Integrity::Damaged;
        assert_eq!(said(vec![damaged]), (Tone::Bad, "production needs attention.".to_owned()));
    }

    #[test]
    fn an_empty_installation_is_not_green() {
        assert_eq!(said(Vec::new()).0, Tone::Plain);
    }
}
