//! Which pages may use the API from a browser (docs/spec/cli.md section 6).

/// The configured origins, with the header lines they lead to.
#[derive(Debug)]
pub(crate) struct Cors {
    all: bool,
    origins: Vec<(String, String)>,
    for_all: String,
    for_others: String,
}

fn lines(origin: &str, varies: bool) -> String {
    let vary = if varies { "Vary: Origin\r\n" } else { "" };
    format!(
        "Access-Control-Allow-Methods: POST, GET, OPTIONS, PUT, DELETE\r\n\
         Access-Control-Allow-Origin: {origin}\r\n\
         Access-Control-Allow-Headers: accept, content-type, authorization, x-requested-with\r\n\
         Access-Control-Expose-Headers: \
         X-Etcd-Index, X-Raft-Index, X-Raft-Term, X-Etcd-Cluster-Id\r\n{vary}"
    )
}

impl Cors {
    pub(crate) fn new(origins: &[String]) -> Self {
        let is_origin = |origin: &&String| {
            !origin.is_empty() && origin.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let origins: Vec<_> = origins
            .iter()
            .filter(is_origin)
            .map(|origin| (origin.clone(), lines(origin, true)))
            .collect();
        let all = origins.iter().any(|(origin, _)| origin == "*");
        let for_others =
            if origins.is_empty() { String::new() } else { "Vary: Origin\r\n".to_owned() };
        Self { all, origins, for_all: lines("*", false), for_others }
    }

    /// The number of an origin, from which [`Cors::lines`] gives its header lines.
    pub(crate) fn number(&self, origin: Option<&[u8]>) -> u16 {
        if self.origins.is_empty() {
            return 0;
        }
        let at = self.origins.iter().position(|(listed, _)| Some(listed.as_bytes()) == origin);
        at.and_then(|at| u16::try_from(at + 1).ok()).unwrap_or(0)
    }

    /// Whether pages of this origin may use everything.
    pub(crate) fn allows(&self, origin: &[u8]) -> bool {
        self.all || self.number(Some(origin)) != 0
    }

    /// The header lines for an answer to a page of the origin with this number.
    pub(crate) fn lines(&self, number: u16) -> &str {
        if self.all {
            return &self.for_all;
        }
        let listed = usize::from(number).checked_sub(1).and_then(|at| self.origins.get(at));
        listed.map_or(&*self.for_others, |(_, lines)| lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_origins_get_the_headers() {
        let cors = Cors::new(&["http://a.example".to_owned()]);
        let lines =
            |cors: &Cors, origin: &str| cors.lines(cors.number(Some(origin.as_bytes()))).to_owned();
        assert!(lines(&cors, "http://a.example").contains("Allow-Origin: http://a.example"));
        assert_eq!(lines(&cors, "http://b.example"), "Vary: Origin\r\n");
        assert_eq!(lines(&Cors::new(&[]), "http://a.example"), "");
        assert!(Cors::new(&["*".to_owned()]).lines(0).contains("Allow-Origin: *\r\n"));
    }
    #[test]
    fn a_listed_origin_may_use_everything() {
        let cors = Cors::new(&["http://a.example".to_owned()]);
        let want = "Access-Control-Allow-Methods: POST, GET, OPTIONS, PUT, DELETE\r\n\
                    Access-Control-Allow-Origin: http://a.example\r\n\
                    Access-Control-Allow-Headers: \
                    accept, content-type, authorization, x-requested-with\r\n\
                    Access-Control-Expose-Headers: \
                    X-Etcd-Index, X-Raft-Index, X-Raft-Term, X-Etcd-Cluster-Id\r\n\
                    Vary: Origin\r\n";
        assert_eq!(cors.lines(cors.number(Some(b"http://a.example"))), want);
        assert_eq!(cors.number(None), 0);
        assert_eq!(cors.number(Some(b"HTTP://a.example")), 0, "origins are compared verbatim");
        assert_eq!(cors.number(Some(b"\xff")), 0);
    }

    #[test]
    fn an_origin_cannot_bring_a_header_of_its_own() {
        let cors = Cors::new(&["a\r\nX: y".to_owned(), String::new()]);
        assert_eq!(cors.lines(cors.number(Some(b"a\r\nX: y"))), "");
        let both = Cors::new(&["http://a.example".to_owned(), "*".to_owned()]);
        let lines = both.lines(both.number(Some(b"http://b.example")));
        assert!(lines.contains("Allow-Origin: *\r\n") && !lines.contains("Vary"), "{lines}");
    }
}
