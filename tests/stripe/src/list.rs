//! Lists, their pages, and search.

use serde_json::{Value, json};

use crate::{
    params::Params,
    problem::Problem,
    state::{int, text},
};

/// One page, of what is handed over newest first: `limit` after `starting_after`.
///
/// # Errors
/// A limit that Stripe does not take, or a cursor that names nothing.
pub(crate) fn page<'a>(
    url: &str,
    params: &Params,
    newest_first: impl Iterator<Item = &'a Value>,
) -> Result<Value, Problem> {
    let limit = limit(params)?;
    let cut = |field: &str| params.int(&format!("/created/{field}"));
    let (gte, gt, lte, lt) = (cut("gte")?, cut("gt")?, cut("lte")?, cut("lt")?);
    let mut items = newest_first.peekable();
    if let Some(cursor) = params.text("/starting_after") {
        let found = items.by_ref().any(|item| text(item, "/id") == cursor);
        if !found {
            return Err(Problem::missing_param("object", cursor, "starting_after"));
        }
    }
    let mut fits = items.filter(|item| {
        let created = int(item, "/created");
        gte.is_none_or(|at| created >= at)
            && gt.is_none_or(|at| created > at)
            && lte.is_none_or(|at| created <= at)
            && lt.is_none_or(|at| created < at)
    });
    let data: Vec<_> = fits.by_ref().take(limit).cloned().collect();
    Ok(json!({ "object": "list", "url": url, "has_more": fits.next().is_some(), "data": data }))
}

/// Those whose metadata says all that a query says (`metadata['a']:'b' AND …`), of what is handed over newest first.
///
/// # Errors
/// Queries of other sorts: nobody asks them.
pub(crate) fn search<'a>(
    url: &str,
    params: &Params,
    newest_first: impl Iterator<Item = &'a Value>,
) -> Result<Value, Problem> {
    let limit = limit(params)?;
    let clauses = clauses(params.required("/query")?)?;
    let mut fits = newest_first.filter(|item| {
        let metadata = item.get("metadata");
        let says = |name: &str| metadata.and_then(|metadata| metadata.get(name)).and_then(Value::as_str);
        clauses.iter().all(|(name, value)| says(name) == Some(value))
    });
    let data: Vec<_> = fits.by_ref().take(limit).cloned().collect();
    let has_more = fits.next().is_some();
    Ok(json!({ "object": "search_result", "url": url, "has_more": has_more, "next_page": null, "data": data }))
}

fn limit(params: &Params) -> Result<usize, Problem> {
    let limit = params.int("/limit")?.unwrap_or(10);
    usize::try_from(limit).ok().filter(|limit| (1..=100).contains(limit)).ok_or_else(|| Problem {
        param: Some("limit".to_owned()),
        ..Problem::invalid(None, "Limit must be between 1 and 100")
    })
}

/// Names and values of metadata that a query asks for.
fn clauses(query: &str) -> Result<Vec<(String, String)>, Problem> {
    let wrong = || Problem::invalid(None, format!("We were unable to parse your search query: {query}"));
    let mut rest = query.trim();
    let mut found = Vec::new();
    loop {
        rest = rest.strip_prefix("metadata[").ok_or_else(wrong)?;
        let (name, after) = quoted(rest).ok_or_else(wrong)?;
        let (value, after) = quoted(after.strip_prefix("]:").ok_or_else(wrong)?).ok_or_else(wrong)?;
        found.push((name, value));
        rest = match after.trim_start() {
            "" => return Ok(found),
            after => after.strip_prefix("AND").ok_or_else(wrong)?.trim_start(),
        };
    }
}

/// The text within the quotes that `from` begins with, and what follows; a backslash takes a quote's meaning away.
fn quoted(from: &str) -> Option<(String, &str)> {
    let quote = from.chars().next().filter(|quote| "'\"".contains(*quote))?;
    let mut text = String::new();
    let mut is_escaped = false;
    for (at, char) in from.char_indices().skip(1) {
        match char {
            _ if is_escaped => {
                text.push(char);
                is_escaped = false;
            }
            '\\' => is_escaped = true,
            _ if char == quote => return Some((text, from.get(at + char.len_utf8()..)?)),
            _ => text.push(char),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(given: Value) -> Params {
        Params(given)
    }

    #[test]
    fn pages_follow_one_another_without_gap() {
        let items: Vec<_> = (0..25).rev().map(|at| json!({ "id": format!("x_{at}"), "created": at })).collect();
        let mut seen = Vec::new();
        let mut given = json!({ "limit": "10" });
        loop {
            let page = page("/v1/x", &params(given), items.iter()).unwrap();
            let data = page["data"].as_array().unwrap();
            seen.extend(data.iter().map(|item| int(item, "/created")));
            if page["has_more"] == false {
                break;
            }
            given = json!({ "limit": "10", "starting_after": data.last().unwrap()["id"] });
        }
        assert_eq!(seen, (0..25).rev().collect::<Vec<_>>());
    }

    #[test]
    fn lists_can_be_cut_by_time_and_refuse_bad_bounds() {
        let items: Vec<_> = (0..5).rev().map(|at| json!({ "id": format!("x_{at}"), "created": at })).collect();
        let cut = page("/v1/x", &params(json!({ "created": { "gte": "2", "lt": "4" } })), items.iter()).unwrap();
        assert_eq!(cut["data"].as_array().unwrap().len(), 2);
        for bad in [
            json!({ "limit": "0" }),
            json!({ "limit": "101" }),
            json!({ "limit": "x" }),
            json!({ "starting_after": "y" }),
        ] {
            assert_eq!(page("/v1/x", &params(bad.clone()), items.iter()).unwrap_err().status, 400, "{bad}");
        }
    }

    #[test]
    fn search_reads_quotes_and_takes_all_clauses() {
        let items = [
            json!({ "id": "a", "metadata": { "customerId": "it's \\ me", "customerType": "USER" } }),
            json!({ "id": "b", "metadata": { "customerId": "it's \\ me", "customerType": "TEAM" } }),
        ];
        let query = r"metadata['customerId']:'it\'s \\ me' AND metadata['customerType']:'TEAM'";
        let found = search("/v1/x", &params(json!({ "query": query })), items.iter()).unwrap();
        assert_eq!(found["data"], json!([items[1]]));
        for bad in ["", "email:'x'", "metadata['a']:'b", "metadata['a']:'b' OR metadata['a']:'c'"] {
            assert!(search("/v1/x", &params(json!({ "query": bad })), items.iter()).is_err(), "{bad}");
        }
    }
}
