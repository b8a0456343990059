//! What a drill of a database has found so far.

use std::time::Instant;

use holdfast_model::{
    drill::{Check, ComponentDrill, Gap},
    manifest::ManifestComponent,
};

use crate::{
    accept::Accept,
    context::{Context, elapsed},
};

/// What is said while a drill goes on.
pub(super) struct Report<'a> {
    pub(super) component: &'a ManifestComponent,
    accept: &'a Accept,
    pub(super) ctx: &'a Context,
    begin: Instant,
    pub(super) engine: Option<String>,
    checks: Vec<Check>,
    gaps: Vec<Gap>,
}

impl<'a> Report<'a> {
    pub(super) fn begin(component: &'a ManifestComponent, accept: &'a Accept, ctx: &'a Context) -> Self {
        Self { component, accept, ctx, begin: Instant::now(), engine: None, checks: vec![], gaps: vec![] }
    }

    pub(super) fn check(&mut self, check: Check) {
        self.ctx.check(check.clone());
        self.checks.push(check);
    }

    pub(super) fn passed(&mut self, name: &str, since: Instant, found: Option<String>, message: Option<String>) {
        self.check(Check {
            component: self.component.name.to_string(),
            name: name.into(),
            passed: true,
            expected: None,
            found,
            message,
            duration_ms: elapsed(since),
        });
    }

    pub(super) fn failed(&mut self, name: &str, since: Instant, message: String) {
        self.check(Check {
            component: self.component.name.to_string(),
            name: name.into(),
            passed: false,
            expected: None,
            found: None,
            message: Some(message),
            duration_ms: elapsed(since),
        });
    }

    pub(super) fn gap(&mut self, kind: &str, name: &str, reason: String) {
        let component = self.component.name.to_string();
        let accepted = self.accept.accepts(kind, name, &component);
        self.gaps.push(Gap { component, kind: kind.into(), name: name.into(), reason, accepted });
    }

    pub(super) fn end(self) -> ComponentDrill {
        ComponentDrill {
            name: self.component.name.clone(),
            kind: self.component.kind,
            verdict: ComponentDrill::judge(&self.checks, &self.gaps),
            engine: self.engine,
            duration_ms: elapsed(self.begin),
            checks: self.checks,
            gaps: self.gaps,
        }
    }
}
