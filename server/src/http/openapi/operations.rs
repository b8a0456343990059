//! What each operation does, in one sentence, with the types that its handler reads and writes.

use axum::http::Method;
use holdfast_model::{
    audit::{AuditList, Verified},
    diff::{Diff, FileView, TableRows},
    event::Event,
    gate::{GateAnswer, GateRequest},
    key::{CreateKey, CreatedKey, KeyView, RotateKey},
    manifest::Manifest,
    me::Me,
    member::Members,
    pending::PendingView,
    plan::RestorePlan,
    request::{
        AddVault, AdoptVault, CheckVault, CopyCatalogue, CopyVault, CreateCheckpoint, PruneVault, RepairVault,
        RestoreCheckpoint,
    },
    view::{
        AddedVault, Adopted, CatalogueCopied, CatalogueKit, CheckpointList, CheckpointView, Confirmation,
        EnvironmentView, FolderView, LogLine, ProjectView, RecoveryKit, RunList, RunView, StartedCopy, TablePage,
        TablesView, VaultView,
    },
};

use super::operation::{Operation, Shape};
use crate::{
    actions::{
        Apply, DiffQuery, ExportQuery, ListAudit, ListCheckpoints, ListRuns, PlaceQuery, RowsQuery, TableQuery,
        TablesQuery, ValueQuery,
    },
    auth::SignInLink,
    http::{compare::Values, import::Where, stream::After, v1},
};

/// In the order in which they are shown.
pub(super) const GROUPS: [&str; 9] =
    ["Gate", "Checkpoints", "Content", "Compare", "Runs", "Environments", "Vaults", "Keys and audit", "This server"];

const RUN_WAITS: &[(&str, &str)] = &[
    (
        "Prefer",
        "`wait=50` waits for at most 50 seconds; a run that is still going is then 503 with `Retry-After`, to be asked \
         for again.",
    ),
    ("Idempotency-Key", "A repeat with the same key, environment and tag joins the run for 24 hours."),
];

/// Every operation.
pub(super) fn all() -> Vec<Operation> {
    let mut all = gate();
    all.extend(checkpoints());
    all.extend(content());
    all.extend(comparisons());
    all.extend(runs());
    all.extend(environments());
    all.extend(vaults());
    all.extend(access());
    all.extend(server());
    all
}

fn of(group: &'static str) -> [impl Fn(&'static str, &'static str) -> Operation; 3] {
    let method = |method: Method| {
        move |path: &'static str, says: &'static str| Operation::new(method.clone(), path, group, says)
    };
    [method(Method::GET), method(Method::POST), method(Method::DELETE)]
}

fn gate() -> Vec<Operation> {
    let [_, post, _] = of(GROUPS[0]);
    let verdict = || Some(Shape::of::<GateAnswer>());
    let json = Some("application/json");
    vec![
        post("/api/checkpoint", "Takes a checkpoint and answers when it is sealed and proven, or never will be.")
            .headers(RUN_WAITS)
            .takes::<GateRequest>()
            .answer(200, "Proven: go on.", json, verdict())
            .answer(422, "Not proven, failed or cancelled: `reason` says why. Stop here.", json, verdict())
            .answer(503, "Still going when the wait was over; ask again after `Retry-After`.", json, verdict()),
    ]
}

fn checkpoints() -> Vec<Operation> {
    let [get, post, delete] = of(GROUPS[1]);
    vec![
        get("/v1/checkpoints", "One page of checkpoints, newest first, with totals over all that match.")
            .asks::<ListCheckpoints>()
            .gives::<CheckpointList>("The page."),
        post("/v1/checkpoints", "Takes a checkpoint of an environment.").takes::<CreateCheckpoint>().starts_run(),
        get("/v1/checkpoints/{id}", "All that is known of one checkpoint.").gives::<CheckpointView>("The checkpoint."),
        delete("/v1/checkpoints/{id}", "Deletes a checkpoint, if the rules allow it.").gives_nothing("It is deleted."),
        post("/v1/checkpoints/{id}/verify", "Reads every byte of the sealed copy back.").starts_run(),
        post("/v1/checkpoints/{id}/drill", "Restores it into scratch space and compares every row.").starts_run(),
        post("/v1/checkpoints/{id}/restore", "Puts it back: whole, by component, path or table, here or elsewhere.")
            .may_take::<RestoreCheckpoint>()
            .starts_run(),
        post("/v1/checkpoints/{id}/restore/plan", "Everything that such a restore would do; nothing is touched.")
            .may_take::<RestoreCheckpoint>()
            .gives::<RestorePlan>("The plan."),
        get("/v1/checkpoints/{id}/manifest", "`manifest.json`, byte for byte as it was sealed.")
            .gives::<Manifest>("The manifest."),
    ]
}

fn content() -> Vec<Operation> {
    let [get, post, _] = of(GROUPS[2]);
    vec![
        get("/v1/checkpoints/{id}/content/{*path}", "The bytes of one file of a checkpoint's tree.")
            .gives_bytes("application/octet-stream", "The file."),
        get("/v1/checkpoints/{id}/tree", "One folder of a `files` component.")
            .asks::<PlaceQuery>()
            .gives::<FolderView>("Its entries."),
        get("/v1/checkpoints/{id}/folder", "A folder of a `files` component as `.tar.zst`.")
            .asks::<PlaceQuery>()
            .gives_bytes(
                "application/zstd",
                "The archive; `holdfast-left-out` counts sockets, which no archive holds.",
            ),
        get("/v1/checkpoints/{id}/tables", "The tables of a database component.")
            .asks::<TablesQuery>()
            .gives::<TablesView>("The tables."),
        get("/v1/checkpoints/{id}/table", "Rows of one table, in the order of the dump.")
            .asks::<RowsQuery>()
            .gives::<TablePage>("Some rows."),
        get("/v1/checkpoints/{id}/export", "The whole checkpoint as an archive that everybody's tools read.")
            .asks::<ExportQuery>()
            .gives_bytes("application/octet-stream", "The archive."),
        post("/v1/imports", "Takes an exported archive in as a new checkpoint; answered when it is sealed.")
            .asks::<Where>()
            .takes_bytes()
            .answer(202, "The run that took it in.", Some("application/json"), Some(Shape::of::<RunView>())),
    ]
}

fn comparisons() -> Vec<Operation> {
    let [get, ..] = of(GROUPS[3]);
    vec![
        get("/v1/checkpoints/{id}/diff/{other}", "What changed from the first checkpoint to the other.")
            .asks::<DiffQuery>()
            .gives::<Diff>("What is not the same."),
        get("/v1/checkpoints/{id}/diff/{other}/file", "One file, before and after.")
            .asks::<PlaceQuery>()
            .gives::<FileView>("The file's change."),
        get("/v1/checkpoints/{id}/diff/{other}/table", "The changed rows of one table.")
            .asks::<TableQuery>()
            .gives::<TableRows>("Old beside new."),
        get("/v1/checkpoints/{id}/diff/{other}/value", "Both values of a variable, unmasked; audited.")
            .asks::<ValueQuery>()
            .gives::<Values>("Both."),
    ]
}

fn runs() -> Vec<Operation> {
    let [get, post, _] = of(GROUPS[4]);
    vec![
        get("/v1/runs", "One page of runs, newest first.").asks::<ListRuns>().gives::<RunList>("The page."),
        get("/v1/runs/{id}", "One run.").gives::<RunView>("The run."),
        post("/v1/runs/{id}/cancel", "Asks a run to stop; nothing of it is published.").answer(
            202,
            "The run, which stops soon.",
            Some("application/json"),
            Some(Shape::of::<RunView>()),
        ),
        get("/v1/runs/{id}/events", "What the run tells, as server-sent events, from the first to the last.")
            .asks::<After>()
            .headers(&[("Last-Event-ID", "Only events behind this one.")])
            .answer(
                200,
                "Each `data:` is one event. The stream ends with the run, and after half a minute: ask again then, with \
                 the last `id:`.",
                Some("text/event-stream"),
                Some(Shape::of::<Event>()),
            )
            .gives_nothing("There is nothing behind that event, and there will be nothing."),
    ]
}

fn environments() -> Vec<Operation> {
    let [get, post, _] = of(GROUPS[5]);
    vec![
        get("/v1/projects", "The projects that you have a role in.").gives_list::<ProjectView>("By name."),
        get("/v1/environments", "The environments of these projects.")
            .asks::<v1::ByName>()
            .gives_list::<EnvironmentView>("By project and name."),
        post("/v1/environments", "Defines an environment, or changes its definition.")
            .takes::<Apply>()
            .gives::<EnvironmentView>("As it is now, or would be."),
        get("/v1/environments/{env}", "One environment.").gives::<EnvironmentView>("The environment."),
        get("/v1/environments/{env}/logs", "The newest lines of its runs' logs.")
            .asks::<v1::LogQuery>()
            .gives_list::<LogLine>("Oldest first."),
        get("/v1/environments/{env}/confirmation", "What a definition that came from a vault would run on this host.")
            .gives::<Confirmation>("To be looked at."),
        post("/v1/environments/{env}/confirmation", "Somebody has looked at it and wants it.")
            .gives::<EnvironmentView>("The environment."),
    ]
}

fn vaults() -> Vec<Operation> {
    let [get, post, _] = of(GROUPS[6]);
    vec![
        get("/v1/vaults", "The vaults, by project, the primary one first.").gives_list::<VaultView>("The vaults."),
        post("/v1/vaults", "Adopts a vault that another server has written.")
            .takes::<AdoptVault>()
            .gives::<Adopted>("What was found in it."),
        post("/v1/vaults/{project}", "Gives a project its primary vault, after a self-test.")
            .takes::<AddVault>()
            .gives::<AddedVault>("The vault, and what was tried on it."),
        post("/v1/vaults/{project}/prune", "Frees what no checkpoint needs.").may_take::<PruneVault>().starts_run(),
        post("/v1/vaults/{project}/check", "Reads the vault back, in part or whole.")
            .takes::<CheckVault>()
            .starts_run(),
        post("/v1/vaults/{project}/repair", "Mends what can be mended.").may_take::<RepairVault>().starts_run(),
        post("/v1/vaults/{project}/copy", "Copies or moves the vault to another place.").takes::<CopyVault>().answer(
            202,
            "What was tried there, and the run.",
            Some("application/json"),
            Some(Shape::of::<StartedCopy>()),
        ),
        get("/v1/vaults/{project}/recovery-kit", "What opens the vault without Holdfast. Keep it safe.")
            .asks::<v1::Which>()
            .gives::<RecoveryKit>("The kit."),
        post("/v1/vaults/{project}/recovery-kit/confirm", "Somebody has stored the kit.")
            .asks::<v1::Which>()
            .gives_nothing("Noted."),
        post("/v1/catalogue/copies", "Puts a copy of the catalogue into a vault.")
            .may_take::<CopyCatalogue>()
            .gives::<CatalogueCopied>("The copy."),
        get("/v1/catalogue/kit", "What is needed to come back from such a copy.").gives::<CatalogueKit>("The kit."),
    ]
}

fn access() -> Vec<Operation> {
    let [get, post, delete] = of(GROUPS[7]);
    vec![
        get("/v1/me", "Who you are here, and what you may do.").gives::<Me>("You."),
        get(
            "/v1/pending/{id}",
            "How far a pending action of yours is: what a command waits for after `sign-in-again`.",
        )
        .gives::<PendingView>("The pending action."),
        get("/v1/keys", "The keys of the projects that you decide for.").gives_list::<KeyView>("Newest first."),
        post("/v1/keys", "Makes a key. Its token stands in this answer and nowhere else.")
            .takes::<CreateKey>()
            .makes::<CreatedKey>("The key, with its token."),
        post("/v1/keys/{id}/rotate", "Makes a key in another one's place, which goes on working for a while.")
            .may_take::<RotateKey>()
            .makes::<CreatedKey>("The new key, with its token."),
        delete("/v1/keys/{id}", "Revokes a key: it works no more from now on.").gives::<KeyView>("The key."),
        get(
            "/v1/members",
            "Who may do what in the projects that you decide for: people, programs, and where roles come from.",
        )
        .gives::<Members>("The members."),
        get("/v1/audit", "One page of the audit log, newest first.")
            .asks::<ListAudit>()
            .gives::<AuditList>("The page."),
        get("/v1/audit/verify", "Follows the audit log from its first line to its last.")
            .gives::<Verified>("Whether it is whole."),
    ]
}

fn server() -> Vec<Operation> {
    let [get, post, _] = of(GROUPS[8]);
    vec![
        get("/v1/openapi.json", "This description, as OpenAPI 3.1.")
            .gives_bytes("application/json", "The description."),
        post("/v1/sign-in-links", "A link that signs one person in, once.").gives::<SignInLink>("The link."),
    ]
}
