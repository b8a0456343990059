//! What changed between two checkpoints: configuration, files, git, schema and rows, each with the way to look closer.

use holdfast_model::{
    access::Permission,
    diff::{Changes, ComponentDiff, Diff, Presence, Side},
    id::CheckpointId,
    size,
};
use leptos::prelude::*;
use leptos_meta::Meta;
use leptos_router::hooks::use_query_map;

use crate::{
    api::{CompareNow, read_compare},
    backend::{Asked, CompareData, ComparePage, Pair},
    components::{
        form::{Live, form},
        icon::{Icon, icon},
        layout::{ago, crumbs, fresh, heading, plain, section},
        loaded::loaded,
        run_panel,
        word::Tone,
    },
    may::{if_may, may, who_may},
    text,
};

mod address;
mod configuration;
mod database;
mod file;
mod files;
mod git;
mod pick;
mod summary;
mod table;
mod value;

pub use file::ComparedFile;
pub use table::ComparedTable;
pub use value::ComparedValue;

/// The page. Its query names the two: `first` and `second`, or `pick` twice, in any order.
#[component]
pub fn Compare() -> impl IntoView {
    let query = use_query_map();
    let asked = query.with_untracked(|q| Asked {
        first: q.get("first").filter(|text| !text.is_empty()),
        second: q.get("second").filter(|text| !text.is_empty()),
        picked: q.get_all("pick").unwrap_or_default(),
    });
    loaded(read_compare(asked), |data| match data {
        CompareData::Waiting { first, live } => waiting(&first, &live),
        CompareData::Ready(page) => draw(&page),
    })
}

/// The checkpoint of how things are now is being taken; its page follows by itself.
fn waiting(first: &str, live: &crate::backend::RunPage) -> AnyView {
    let again = address::compare(first, live.run.id.as_str());
    let ended = live.run.state.is_final();
    view! {
        {heading(
            "Compare with now".to_owned(),
            Tone::Plain,
            if ended { "No checkpoint was taken.".to_owned() } else { "A checkpoint of how things are now is being taken.".to_owned() },
            "It is compared as soon as it is sealed.".to_owned(),
        )}
        {(!ended).then(|| view! { <Meta http_equiv="refresh" content=format!("2; url={again}") /> })}
        {run_panel::place(Some(live))}
        <p><a class="button" href=again>"Look again"</a></p>
    }
    .into_any()
}

fn draw(page: &ComparePage) -> AnyView {
    let ComparePage { now, diff, counting, choices } = page;
    let pair = Pair::of(diff);
    let place = &diff.second.environment;
    let said = summary::of(diff);
    let (one, two) = (&diff.first.environment.project, &diff.second.environment.project);
    // What somebody may not open is not linked.
    let opened = |permission| (may(one, permission) && may(two, permission)).then_some(&pair);
    let (content, values) = (opened(Permission::Read), opened(Permission::Reveal));
    let back = may(one, Permission::Restore).then_some(&pair);
    let closed = content.is_none().then(|| {
        let project = if may(one, Permission::Read) { two } else { one };
        view! { <p class="note">{who_may(project, Permission::Read, "Opening files and rows")}</p> }
    });
    let sections = [
        changed(
            diff,
            "configuration",
            "Configuration",
            |c| matches!(c.changes, Changes::Configuration(_)),
            |c| configuration::draw(values, c),
        ),
        changed(diff, "files", "Files", |c| matches!(c.changes, Changes::Files(_)), |c| files::draw(content, c)),
        changed(diff, "git", "Git", |c| matches!(c.changes, Changes::Git(_)), |c| git::draw(content, c)),
        changed(diff, "schema", "Schema", database::has_schema, database::schema),
        changed(diff, "rows", "Rows", database::has_rows, |c| database::rows(content, back, c)),
    ];
    let below = view! {
        {pick::pickers(diff, choices)}
        {counting.then(|| still_counting(&pair))}
        {closed}
        {sections.into_iter().collect_view()}
        {alike(diff)}
        {not_compared(diff)}
        {sizes(diff)}
    };
    view! {
        {crumbs(vec![
            (place.project.to_string(), format!("/projects/{}", place.project)),
            (place.name.to_string(), text::environment_href(&place.project, &place.name)),
        ])}
        <div class="lead">
            {heading("Compare".to_owned(), said.tone, said.text, said.reason)}
            <div class="buttons">
                {if_may(&place.project, Permission::Restore, || {
                    let href = format!("/checkpoints/{}/restore", diff.first.checkpoint);
                    view! { <a class="button primary" href=href>{icon(Icon::Back)} "Restore from the first"</a> }.into_any()
                })}
                {if_may(&place.project, Permission::Create, || compare_now(&diff.first.checkpoint, "First with now"))}
            </div>
        </div>
        <dl class="tiles two">{side("First", *now, &diff.first)} {side("Second", *now, &diff.second)}</dl>
        {fresh(below.into_any())}
    }
    .into_any()
}

/// Takes a checkpoint of how things are now, and compares with it.
pub fn compare_now(first: &CheckpointId, label: &'static str) -> AnyView {
    let id = first.to_string();
    let fields = view! {
        <input type="hidden" name="first" value=id />
        <button title="Takes a checkpoint of how things are now, without a drill, and compares with it">{label}</button>
    };
    form::<CompareNow, _>(Live::No, fields.into_any())
}

fn side(name: &'static str, now: time::OffsetDateTime, side: &Side) -> AnyView {
    let title = side.name.clone().unwrap_or_else(|| text::short_id(side.checkpoint.as_str()));
    let href = format!("/checkpoints/{}", side.checkpoint);
    let place = format!(" of {} / {}", side.environment.project, side.environment.name);
    view! {
        <div class="tile">
            <dt>{name}</dt>
            <dd class="value"><a href=href>{title}</a></dd>
            <dd class="note">"Taken " {ago(now, side.created_at)} {place}</dd>
        </div>
    }
    .into_any()
}

fn still_counting(pair: &Pair) -> AnyView {
    let again = address::compare(&pair.first, &pair.second);
    view! {
        <Meta http_equiv="refresh" content=format!("3; url={again}") />
        <p class="aside live">
            {icon(Icon::Spinner)}
            <span>
                "The changed rows are being counted from the two sealed dumps; this page shows them as soon as they are. "
                <a href=again>"Look again"</a>
            </span>
        </p>
    }
    .into_any()
}

/// One section with every component that has something in it; nothing where none has.
fn changed(
    diff: &Diff,
    id: &'static str,
    title: &'static str,
    belongs: impl Fn(&ComponentDiff) -> bool,
    draw: impl Fn(&ComponentDiff) -> AnyView,
) -> AnyView {
    let parts: Vec<&ComponentDiff> = diff.components.iter().filter(|c| belongs(c)).collect();
    if parts.is_empty() {
        return ().into_any();
    }
    let parts: Vec<_> = parts
        .into_iter()
        .map(|component| {
            let only = match component.presence {
                Presence::Both => None,
                Presence::First => Some(" only in the first"),
                Presence::Second => Some(" only in the second"),
            };
            view! {
                <div class="compared">
                    <h3>
                        {component.name.to_string()} " " <span class="dim">{text::kind(component.kind)} {only}</span>
                    </h3>
                    {draw(component)}
                </div>
            }
        })
        .collect();
    section(id, title, None, parts.into_any())
}

/// The components in which nothing differs: said, so that nobody wonders whether they were looked at.
fn alike(diff: &Diff) -> AnyView {
    let names: Vec<String> = diff
        .components
        .iter()
        .filter(|c| matches!(c.changes, Changes::Same))
        .map(|c| format!("{} ({})", c.name, text::kind(c.kind)))
        .collect();
    if names.is_empty() {
        return ().into_any();
    }
    section("alike", "Without a difference", None, view! { <p class="prose">{names.join(", ")} "."</p> }.into_any())
}

/// What could not be compared, with the reason. Never left out in silence.
fn not_compared(diff: &Diff) -> AnyView {
    let unknown = diff.components.iter().filter_map(|c| match &c.changes {
        Changes::Unknown { why } => Some((c.name.to_string(), String::new(), why.clone())),
        _ => None,
    });
    let skipped = diff
        .components
        .iter()
        .flat_map(|c| c.skipped.iter().map(|s| (c.name.to_string(), s.name.clone(), s.message.clone())));
    let rows: Vec<Vec<AnyView>> = unknown
        .chain(skipped)
        .map(|(component, name, why)| {
            vec![plain(component), view! { <code class="path">{name}</code> }.into_any(), plain(why)]
        })
        .collect();
    if rows.is_empty() {
        return ().into_any();
    }
    let columns = [("Component", false), ("Entry", false), ("Why", false)];
    section(
        "not-compared",
        "Not compared",
        None,
        crate::components::layout::table("What could not be compared", &columns, rows),
    )
}

fn sizes(diff: &Diff) -> AnyView {
    let line = |name: &'static str, sizes: &holdfast_model::diff::Sizes| {
        let step = summary::step(sizes);
        let from_to = format!("{} → {}", size::display(sizes.before), size::display(sizes.after));
        view! { <div><dt>{name}</dt><dd>{step} " " <span class="dim">{from_to}</span></dd></div> }
    };
    let body = view! {
        <dl class="facts">
            {line("Logical", &diff.size.logical)}
            {line("Added to the vault", &diff.size.stored)}
        </dl>
    };
    section("size", "Size", None, body.into_any())
}
