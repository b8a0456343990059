//! Which components a request means.

use holdfast_model::{
    name::Name,
    state::{Kind, selects},
};

/// The components that `only` names (all when it is empty) without those that `without` names, in the given order.
/// A word is a component's name, kind or type.
///
/// # Errors
/// A sentence that names the word that means nothing here, or says that nothing is left.
pub fn choose(known: &[(Name, Kind)], only: &[String], without: &[String]) -> Result<Vec<Name>, String> {
    let means = |word: &String, (name, kind): &(Name, Kind)| selects(word, name.as_str(), *kind);
    if let Some(word) = only.iter().chain(without).find(|word| !known.iter().any(|one| means(word, one))) {
        let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
        return Err(format!("`{word}` is no component, kind or type here; the components are: {}", names.join(", ")));
    }
    let chosen: Vec<Name> = known
        .iter()
        .filter(|one| only.is_empty() || only.iter().any(|word| means(word, one)))
        .filter(|one| !without.iter().any(|word| means(word, one)))
        .map(|(name, _)| name.clone())
        .collect();
    if chosen.is_empty() { Err("no component is left to take".into()) } else { Ok(chosen) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_choose_by_name_kind_and_type() {
        let known: Vec<(Name, Kind)> = [("uploads", Kind::Files), ("shop", Kind::Postgres), ("search", Kind::Sqlite)]
            .map(|(name, kind)| (name.parse().unwrap(), kind))
            .into();
        let names = |only: &[&str], without: &[&str]| {
            let words = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
            choose(&known, &words(only), &words(without))
                .map(|chosen| chosen.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(names(&[], &[]).unwrap(), "uploads shop search");
        assert_eq!(names(&["database"], &[]).unwrap(), "shop search");
        assert_eq!(names(&["database"], &["sqlite"]).unwrap(), "shop");
        assert_eq!(names(&[], &["uploads"]).unwrap(), "shop search");
        assert!(names(&["redis"], &[]).unwrap_err().contains("`redis`"));
        assert!(names(&["shop"], &["database"]).is_err());
    }
}
