//! The stand itself: what drills and benchmarks rely on.

use postern_stress::stand::{MailListener, Plan, Receiver, Shape, Stand};
use serde_json::json;

#[tokio::test]
async fn what_was_acknowledged_is_there_after_kill_9_and_both_effects_arrive() {
    let (receiver, mails) = (Receiver::start().await.unwrap(), MailListener::start().await.unwrap());
    let plan = Plan::new(Shape::Embedded).set("POSTERN_SMTP_URL", format!("smtp://{}?tls=none", mails.address()));
    let mut stand = Stand::start(&plan).await.unwrap();
    assert!(stand.gateways[0].rss_bytes().unwrap() > 1 << 20);
    let mutation = "mutation($input: CreateWebhookEndpointInput!) { createWebhookEndpoint(input: $input) { secret } }";
    let input = json!({"input": {"url": receiver.url("/hook")}});
    let made = stand.client().admin().graphql(mutation, input).await.unwrap().data().unwrap();
    let secret = made["createWebhookEndpoint"]["secret"].as_str().unwrap();
    let mutation = "mutation($input: SignUpWithPasswordInput!) { signUpWithPassword(input: $input) { userId } }";
    let input = json!({"input": {"email": "ada@drill.example", "password": "correct horse"}});
    let signed_up = stand.client().client().graphql(mutation, input).await.unwrap().data().unwrap();

    stand.gateways[0].kill().await.unwrap();
    assert!(stand.client().server().get("/users").await.is_err_and(|lost| lost.never_sent));
    stand.gateways[0].start().await.unwrap();
    let user_id = signed_up["signUpWithPassword"]["userId"].as_str().unwrap();
    let user = stand.client().server().get(&format!("/users/{user_id}")).await.unwrap().json().unwrap();
    assert_eq!(user["primary_email"], "ada@drill.example");

    // A job that the killed process had claimed runs again when its lease of 30 s is over.
    let arrived = async {
        while receiver.count() == 0 || mails.delivered().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(90), arrived).await.unwrap();
    receiver.received()[0].verify(secret).unwrap();
    let mail = &mails.delivered()[0];
    assert_eq!(mail.to, ["ada@drill.example"]);
    assert!(mail.message_id.ends_with("@localhost>"), "{mail:?}");
    stand.stop().await.unwrap();
}
