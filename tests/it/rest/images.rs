//! Uploaded pictures: from a `data:` URL in a field to the address that serves them.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::teams::user;
use crate::support::App;

/// One white pixel as GIF.
const GIF: &str = "data:image/gif;base64,R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs=";

#[tokio::test]
async fn an_uploaded_picture_is_served_to_everybody_and_never_run() {
    let app = App::start().await;
    let rest = app.rest();
    let (_, own) = user(&rest, "ada@example.com").await;
    let me = own.patch("/users/me", json!({"profile_image_url": GIF})).await.json(200);
    let address = me["profile_image_url"].as_str().unwrap();
    let path = &address[address.find("/assets").unwrap()..];
    assert!(path.starts_with(&format!("/assets/{}/user-profile-images/", app.demo.project_id)), "{address}");
    let picture = rest.raw(Method::GET, path, None).await;
    assert_eq!(picture.status, StatusCode::OK);
    for (name, value) in [
        ("content-type", "image/gif"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("cache-control", "public, max-age=31536000, immutable"),
    ] {
        assert_eq!(picture.headers[name], value);
    }
    assert!(picture.text.starts_with("GIF89a"));
    let elsewhere = path.replace(&app.demo.project_id, "internal");
    rest.raw(Method::GET, &elsewhere, None).await.refused_with_text(404);
    rest.raw(Method::GET, "/assets/internal/user-profile-images/x.png", None).await.refused_with_text(404);

    own.patch("/users/me", json!({"profile_image_url": "https://example.com/a.png"})).await.refused_with_text(400);
    let svg = "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4=";
    for server in [&own, &rest.server()] {
        let text = server.patch("/users/me", json!({"profile_image_url": svg})).await;
        assert_eq!(text.status, StatusCode::BAD_REQUEST, "{}", text.text);
    }
    // A refused change leaves the picture; without one it is gone.
    assert_eq!(rest.raw(Method::GET, path, None).await.status, StatusCode::OK);
    own.patch("/users/me", json!({"profile_image_url": null})).await.json(200);
    rest.raw(Method::GET, path, None).await.refused_with_text(404);

    let admin = rest.admin();
    let project = admin.patch("/internal/projects/current", json!({"logo_url": GIF})).await.json(200);
    assert!(project["logo_url"].as_str().unwrap().contains("/project-logos/"));
    app.stop().await;
}
