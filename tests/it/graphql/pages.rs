//! GraphiQL and the schema's text.

use reqwest::Method;

use crate::support::App;

#[tokio::test]
async fn local_pages_answer_to_names_of_this_machine_only() {
    let app = App::start().await;
    let page = app.rest().raw(Method::GET, "/graphiql", None).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("/graphql") && page.text.contains(&app.demo.project_id), "{}", page.text);
    let schema = app.rest().raw(Method::GET, "/schema.graphql", None).await;
    assert_eq!(schema.text, postern_gateway::graphql::sdl());
    for path in ["/graphiql", "/schema.graphql", "/assets/graphiql/LICENCES.txt"] {
        let rebound = app.rest().with("host", "evil.example").raw(Method::GET, path, None).await;
        assert!(rebound.status.is_client_error(), "{path} {}", rebound.status);
        assert!(!rebound.text.contains(&app.demo.admin));
    }
    let admin = app.rest().admin().with("host", "postern.example").raw(Method::GET, "/schema.graphql", None).await;
    assert_eq!(admin.status, 200);
    let server = app.rest().server().with("host", "postern.example").raw(Method::GET, "/schema.graphql", None).await;
    assert_eq!(server.status, 403);
    app.stop().await;
}

#[tokio::test]
async fn graphiql_comes_from_this_program_alone_and_its_files_are_kept() {
    let app = App::start().await;
    let page = app.rest().raw(Method::GET, "/graphiql", None).await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'nonce-") && !policy.contains("unsafe"), "{policy}");
    let sources =
        page.text.split("src=\"").chain(page.text.split("href=\"")).filter(|rest| !rest.starts_with("<!doctype"));
    assert!(sources.clone().count() >= 6);
    for source in sources {
        assert!(source.starts_with("/assets/graphiql/") || source.starts_with("data:"), "{source}");
    }
    let path = page.text.split('"').find(|part| part.contains("/graphiql-") && part.ends_with(".js")).unwrap();
    let file = app.rest().raw(Method::GET, path, None).await;
    assert_eq!(file.status, 200);
    assert_eq!(file.headers["content-type"], "text/javascript; charset=utf-8");
    assert_eq!(file.headers["content-encoding"], "gzip");
    assert_eq!(file.headers["cache-control"], "public, max-age=31536000, immutable");
    let tag = file.headers["etag"].to_str().unwrap();
    let kept = app.rest().with("if-none-match", tag).raw(Method::GET, path, None).await;
    assert_eq!((kept.status.as_u16(), kept.text.as_str()), (304, ""));
    let missing = app.rest().raw(Method::GET, "/assets/graphiql/..%2f..%2fCargo.toml", None).await;
    assert_eq!(missing.status, 404);
    app.stop().await;
}
