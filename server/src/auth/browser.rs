//! What is known of a browser that somebody signs in with: what it says of itself, and where it comes from.

/// Letters that are kept of what a browser says of itself.
const AGENT: usize = 200;

/// A browser at the moment of a sign-in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Browser {
    /// Its own words (`User-Agent`), at most 200 characters.
    pub agent: Option<String>,
    /// Its address.
    pub address: Option<String>,
}

impl Browser {
    /// With what it says of itself cut to what is kept.
    #[must_use]
    pub fn new(agent: Option<&str>, address: Option<String>) -> Self {
        let agent = agent.map(|said| said.chars().filter(|c| !c.is_control()).take(AGENT).collect::<String>());
        Self { agent: agent.filter(|said| !said.trim().is_empty()), address }
    }

    /// The address, for a line of the audit log.
    #[must_use]
    pub fn from(&self) -> String {
        self.address.as_ref().map_or_else(|| "from an unknown address".to_owned(), |address| format!("from {address}"))
    }
}

/// A browser's own words in a few of ours: `Firefox on Linux`. What cannot be told is `a browser`.
#[must_use]
pub fn words(agent: Option<&str>) -> String {
    let agent = agent.unwrap_or_default();
    let first =
        |table: &[(&str, &'static str)]| table.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name);
    // Each of them claims to be those that stand after it.
    let name = first(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS", "Firefox"),
        ("CriOS", "Chrome"),
        ("Chrom", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = first(&[
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
        ("BSD", "BSD"),
    ]);
    match (name, system) {
        (Some(name), Some(system)) => format!("{name} on {system}"),
        (Some(name), None) => name.to_owned(),
        (None, Some(system)) => format!("a browser on {system}"),
        (None, None) => "a browser".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_told_in_a_few_words() {
        for (said, told) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15",
                "Safari on macOS",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            ("something else", "a browser"),
        ] {
            assert_eq!(words(Some(said)), told);
        }
        assert_eq!(words(None), "a browser");
    }

    #[test]
    fn what_it_says_is_cut_and_cleaned() {
        let kept = Browser::new(Some(&format!("a\u{1b}b{}", "x".repeat(500))), None).agent.unwrap_or_default();
        assert!(kept.starts_with("abx") && kept.chars().count() == AGENT);
        assert_eq!(Browser::new(Some(" "), None), Browser::default());
    }
}
