//! Who hears that there is room: when somebody leaves the line of a project's mails, and when a job looks at a mail that
//! another one sends.

use postern_entity::{email, job};
use sea_orm::{ActiveValue::Set, EntityTrait};

use super::{
    capacity::{gone, put_behind},
    *,
};
use crate::{
    emails::{Status, UpdateEmail, capacity::pass_on, compose, update},
    queue::{Priority, Scope},
};

/// In how many milliseconds the job that waits for the mail's turn looks again.
async fn looks_in(bench: &TestBench, id: EmailId) -> i64 {
    let job_id = row(bench, id).await.waiting_job_id.unwrap();
    let job = queue::find(&bench.deps, &Scope::Installation, job_id).await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Pending);
    job.due_at.millis() - bench.deps.now().millis()
}

/// Three mails in line, in their order. One of those that were on their way has come back, so the first was told to look.
async fn line(bench: &TestBench, project_id: &ProjectId) -> [EmailId; 3] {
    let (away, mut behind) = put_behind(bench, project_id, LEASE, 3).await;
    gone(bench, away[0]).await;
    let (deps, now) = (&bench.deps, bench.deps.now());
    deps.db.write(async |tx| pass_on(&tx, deps, project_id, now).await).await.unwrap();
    // Of the same moment, they go by their ids.
    behind.sort();
    let mut looks = Vec::new();
    for id in &behind {
        looks.push(looks_in(bench, *id).await);
    }
    assert_eq!(looks, [0, 100, 100], "there is room for one");
    behind.try_into().unwrap()
}

/// Has the due jobs run, and checks that exactly the rest of the line has gone, in its order: the clock stands still, so nobody
/// looks who was not told.
async fn rest_goes(bench: &TestBench, rest: &[EmailId]) {
    run(bench).await;
    let sent: Vec<_> = bench.mailer.sent().into_iter().map(|mail| mail.message_id).collect();
    let expected: Vec<_> = rest.iter().map(|id| format!("{id}@localhost")).collect();
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn a_mail_that_is_taken_out_of_the_line_passes_its_turn_on() {
    let nothing = UpdateEmail::default;
    for (edit, status) in [
        (UpdateEmail { cancel: true, ..nothing() }, Status::Skipped),
        (UpdateEmail { is_paused: Some(true), ..nothing() }, Status::Paused),
        (UpdateEmail { scheduled_at: Some(START.plus_seconds(3600)), ..nothing() }, Status::Scheduled),
    ] {
        let edit = &edit;
        on_each_database(with_shared_server(), move |bench| async move {
            let project_id = bench.insert_project().await;
            let [first, rest @ ..] = line(&bench, &project_id).await;
            update(&bench.deps, &server_actor(&project_id), first, edit.clone()).await.unwrap();
            rest_goes(&bench, &rest).await;
            assert_eq!(Status::of(&row(&bench, first).await), status);
        })
        .await;
    }
}

#[tokio::test]
async fn a_mail_that_comes_to_its_end_when_it_looks_passes_its_turn_on() {
    let to_nobody = email::ActiveModel { recipient_emails: Set(json!([])), ..Default::default() };
    let expired = email::ActiveModel { secrets_expire_at: Set(Some(START)), ..Default::default() };
    for (changes, status) in [(to_nobody, Status::Skipped), (expired, Status::ServerError)] {
        let changes = &changes;
        on_each_database(with_shared_server(), move |bench| async move {
            let project_id = bench.insert_project().await;
            let [first, rest @ ..] = line(&bench, &project_id).await;
            change(&bench, first, changes.clone()).await;
            rest_goes(&bench, &rest).await;
            assert_eq!(Status::of(&row(&bench, first).await), status);
        })
        .await;
    }
}

#[tokio::test]
async fn a_mail_that_is_given_up_in_line_passes_its_turn_on() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let [first, rest @ ..] = line(&bench, &project_id).await;
        // Nothing of ours writes that, so its job fails each time, of which this is the last.
        let broken = email::ActiveModel { recipient_emails: Set(json!("no list")), ..Default::default() };
        change(&bench, first, broken).await;
        let job_id = row(&bench, first).await.waiting_job_id.unwrap();
        let last_try = job::ActiveModel { id: Set(job_id), max_attempts: Set(1), ..Default::default() };
        bench.deps.db.write(async |tx| Ok(job::Entity::update(last_try.clone()).exec(&*tx).await?)).await.unwrap();
        rest_goes(&bench, &rest).await;
        let given_up = row(&bench, first).await;
        assert_eq!(Status::of(&given_up), Status::ServerError);
        assert!(given_up.send_error.unwrap().contains("the log of the server says why"));
    })
    .await;
}

#[tokio::test]
async fn the_second_job_of_an_edited_mail_frees_no_room_while_the_first_one_sends_it() {
    on_each_database(with_shared_server(), |bench| async move {
        let project_id = bench.insert_project().await;
        let (away, behind) = put_behind(&bench, &project_id, LEASE, 3).await;
        let deps = &bench.deps;
        // As an edit leaves it; the first job is with the worker that sends the mail.
        deps.db
            .write(async |tx| compose::enqueue_job(&tx, deps, &project_id, away[0], Priority::High).await)
            .await
            .unwrap();
        run(&bench).await;
        assert_eq!(row(&bench, away[0]).await.capacity_slot_at, None, "it is on its way as before");
        for id in &behind {
            assert_eq!(looks_in(&bench, *id).await, 100, "nobody was told to look");
        }
        // When they do, there is no room.
        bench.clock.advance_millis(100);
        run(&bench).await;
        for id in &behind {
            assert_eq!(Status::of(&row(&bench, *id).await), Status::Queued);
        }
        assert!(bench.mailer.sent().is_empty());
    })
    .await;
}
