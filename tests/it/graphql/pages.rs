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
    for path in ["/graphiql", "/schema.graphql"] {
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
