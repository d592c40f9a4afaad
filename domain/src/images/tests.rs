//! Pictures on both databases.

use base64::{Engine, prelude::BASE64_STANDARD};
use postern_entity::image;
use sea_orm::{EntityTrait, PaginatorTrait};
use url::Url;

use super::{Folder, ImageSource, MAX_IMAGE_CHARS, Picture, find};
use crate::{
    Code, Deps, ImageId, ProjectId, UserId,
    patch::Patch,
    sessions::test_scene::refusal,
    teams::{self, CreateTeam, UpdateMemberProfile, UpdateTeam},
    testing::{TestBench, TestDatabase, client, on_each_database, server},
    users::{self, CreateUser, UpdateOwnUser, UpdateUser},
};

/// The smallest GIF: one pixel.
const GIF: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

fn upload(claimed: &str, bytes: &[u8]) -> String {
    format!("data:image/{claimed};base64,{}", BASE64_STANDARD.encode(bytes))
}

/// A PNG of this size, as far as its header goes.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(height.to_be_bytes());
    bytes.extend(b"\x08\x06\x00\x00\x00");
    bytes
}

fn id_in(url: &str) -> ImageId {
    let url: Url = url.parse().unwrap();
    url.path_segments().unwrap().next_back().unwrap().split('.').next().unwrap().parse().unwrap()
}

async fn kept(deps: &Deps) -> u64 {
    image::Entity::find().count(deps.db.read()).await.unwrap()
}

#[tokio::test]
async fn what_an_upload_is_its_content_says() {
    let database = TestDatabase::sqlite().await;
    let bench = TestBench::on(&database).await;
    let read =
        |value: &str, source| Picture::read(&bench.deps, &ProjectId::internal(), Folder::Users, "f", value, source);
    for source in [ImageSource::Server, ImageSource::Client] {
        // A PNG that claims to be something else is a PNG.
        for (value, extension) in [(upload("svg+xml", &png(3, 5)), "png"), (upload("png", GIF), "gif")] {
            let picture = read(&value, source).unwrap();
            let url: Url = picture.url.parse().unwrap();
            assert!(url.path().starts_with("/assets/internal/user-profile-images/"), "{url}");
            assert!(url.path().ends_with(extension), "{url}");
        }
        let svg = upload("svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>");
        for value in [
            svg,
            upload("png", b"nothing"),
            upload("png", b""),
            upload("png", &png(1, 16_385)),
            upload("png", &png(0, 1)),
            "data:image/png;base64,!!!".to_owned(),
            "data:image/png,AAAA".to_owned(),
            "data:text/html;base64,AAAA".to_owned(),
            "ftp://example.com/a".to_owned(),
            "javascript:alert(1)".to_owned(),
        ] {
            assert_eq!(refusal(read(&value, source)), Code::BadRequest, "{value}");
        }
        let long = format!("https://example.com/{}", "a".repeat(MAX_IMAGE_CHARS));
        for value in ["", "picture.png", "https://example.com/a b", &long] {
            assert_eq!(refusal(read(value, source)), Code::SchemaError);
        }
    }
    let named = "https://example.com/a.png?x=1";
    assert_eq!(read(named, ImageSource::Server).unwrap().url, named);
    assert_eq!(refusal(read(named, ImageSource::Client)), Code::BadRequest);
}

#[tokio::test]
async fn an_uploaded_picture_is_kept_until_another_takes_its_place_or_its_owner_goes() {
    on_each_database(|bench| async move {
        let (project_id, other) = (bench.insert_project().await, bench.insert_project().await);
        let (deps, actor) = (&bench.deps, server(&project_id));
        let input = CreateUser { profile_image_url: Some(upload("png", &png(1, 2))), ..CreateUser::default() };
        let user = users::create(deps, &actor, input).await.unwrap();
        let first = id_in(user.profile_image_url.as_deref().unwrap());
        let found = find(deps, &project_id, first).await.unwrap().unwrap();
        assert_eq!((found.content_type.as_str(), found.bytes), ("image/png", png(1, 2)));
        assert_eq!(find(deps, &other, first).await.unwrap(), None);

        let own = client(&project_id, user.id);
        let change = UpdateOwnUser { profile_image_url: Patch::Set(upload("gif", GIF)), ..UpdateOwnUser::default() };
        let changed = users::update_own(deps, &own, change).await.unwrap();
        let second = id_in(changed.profile_image_url.as_deref().unwrap());
        assert_eq!(find(deps, &project_id, first).await.unwrap(), None);
        assert_eq!(find(deps, &project_id, second).await.unwrap().unwrap().content_type, "image/gif");
        // What does not mention the picture leaves it.
        users::update(deps, &actor, user.id, UpdateUser::default()).await.unwrap();
        assert_eq!(kept(deps).await, 1);
        let named =
            UpdateUser { profile_image_url: Patch::Set("https://x.example".to_owned()), ..UpdateUser::default() };
        users::update(deps, &actor, user.id, named).await.unwrap();
        assert_eq!(kept(deps).await, 0);

        let uploads = UpdateUser { profile_image_url: Patch::Set(upload("gif", GIF)), ..UpdateUser::default() };
        users::update(deps, &actor, user.id, uploads).await.unwrap();
        let input = CreateTeam {
            display_name: "T".to_owned(),
            profile_image_url: Some(upload("gif", GIF)),
            creator_user_id: Some(user.id),
            ..CreateTeam::default()
        };
        let team = teams::create(deps, &actor, input).await.unwrap();
        let change = UpdateTeam { profile_image_url: Patch::Set(upload("png", &png(1, 1))), ..UpdateTeam::default() };
        let team = teams::update(deps, &actor, team.id, change).await.unwrap();
        assert!(team.profile_image_url.unwrap().contains("/team-profile-images/"));
        let change = UpdateMemberProfile { profile_image_url: Patch::Set(upload("gif", GIF)), display_name: None };
        let member = teams::update_profile(deps, &own, team.id, user.id, change).await.unwrap();
        assert!(member.profile_image_url.unwrap().contains("/team-member-profile-images/"));
        assert_eq!(kept(deps).await, 3);
        teams::remove_member(deps, &actor, team.id, user.id).await.unwrap();
        assert_eq!(kept(deps).await, 2);
        teams::delete(deps, &actor, team.id).await.unwrap();
        assert_eq!(kept(deps).await, 1);
        users::delete(deps, &actor, user.id).await.unwrap();
        assert_eq!(kept(deps).await, 0);
        assert_eq!(
            refusal(users::update(deps, &actor, UserId::random(), UpdateUser::default()).await),
            Code::UserNotFound
        );
    })
    .await;
}
