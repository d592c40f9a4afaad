//! What a caller gives for a picture.

use std::{fmt, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use imagesize::ImageType;
use url::Url;

use super::{ASSETS, Folder};
use crate::{
    Actor, Deps, Failure, ImageId, ProjectId,
    error::{Result, refuse},
};

/// The longest picture field, in characters.
pub const MAX_IMAGE_CHARS: usize = 1_000_000;
/// The largest uploaded picture.
pub const MAX_IMAGE_BYTES: usize = 1_000_000;
/// The largest edge of an uploaded picture, in pixels: a small file may claim to be as large as a city.
const MAX_EDGE: usize = 16_384;

/// Who names the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageSource {
    /// May only upload.
    Client,
    /// May also name a URL.
    Server,
}

impl ImageSource {
    /// By the caller's level.
    #[must_use]
    pub fn of(actor: &Actor) -> Self {
        if actor.is_server() { Self::Server } else { Self::Client }
    }
}

/// A picture that may be stored: the URL that the field is to hold, and what was uploaded, if it was.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Of a picture elsewhere, or of the upload once it is stored.
    pub url: String,
    pub(super) upload: Option<Arc<Upload>>,
}

/// An uploaded picture on its way into the database.
pub(super) struct Upload {
    pub(super) id: ImageId,
    pub(super) kind: Kind,
    pub(super) bytes: Vec<u8>,
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upload({}, {}, {} bytes)", self.id, self.kind.content_type, self.bytes.len())
    }
}

/// A kind of pictures that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) content_type: &'static str,
    extension: &'static str,
}

impl Kind {
    fn of(bytes: &[u8]) -> Option<Self> {
        let (content_type, extension) = match imagesize::image_type(bytes).ok()? {
            ImageType::Png => ("image/png", "png"),
            ImageType::Jpeg => ("image/jpeg", "jpg"),
            ImageType::Gif => ("image/gif", "gif"),
            ImageType::Bmp => ("image/bmp", "bmp"),
            ImageType::Webp => ("image/webp", "webp"),
            _ => return None,
        };
        let size = imagesize::blob_size(bytes).ok()?;
        let fits = (1..=MAX_EDGE).contains(&size.width) && (1..=MAX_EDGE).contains(&size.height);
        fits.then_some(Self { content_type, extension })
    }
}

impl Picture {
    /// The picture that `value` of the field `field` stands for.
    ///
    /// # Errors
    /// `SCHEMA_ERROR` when it is no URL; `BAD_REQUEST` when the caller may not name it, or what is uploaded is no picture
    /// that is kept.
    pub fn read(
        deps: &Deps,
        project_id: &ProjectId,
        folder: Folder,
        field: &str,
        value: &str,
        source: ImageSource,
    ) -> Result<Self> {
        let is_url = !value.chars().any(|c| c.is_whitespace() || c == '\0') && value.chars().count() <= MAX_IMAGE_CHARS;
        let Some(url) = Url::parse(value).ok().filter(|_| is_url) else {
            return refuse(Failure::schema(format!(
                "{field} must be a URL without spaces of at most {MAX_IMAGE_CHARS} characters"
            )));
        };
        match (url.scheme(), source) {
            ("data", _) => {
                let upload =
                    read_upload(value).or_else(|what| refuse(Failure::bad_request(format!("{field}: {what}"))))?;
                let mut url = deps.settings.public_url.clone();
                let (folder, extension) = (folder.as_str(), upload.kind.extension);
                url.set_path(&format!("{ASSETS}/{project_id}/{folder}/{}.{extension}", upload.id));
                Ok(Self { url: url.into(), upload: Some(Arc::new(upload)) })
            }
            ("http" | "https", ImageSource::Server) => Ok(Self { url: value.to_owned(), upload: None }),
            (_, ImageSource::Client) => refuse(Failure::bad_request(format!(
                "{field}: only servers can name the URL of a picture; upload it as a data: URL"
            ))),
            _ => refuse(Failure::bad_request(format!("{field}: must be an http, https or data: URL"))),
        }
    }
}

/// The content of `data:image/<type>;base64,…`. What type it claims to be is of no matter.
fn read_upload(value: &str) -> std::result::Result<Upload, String> {
    let encoded = value
        .get(5..)
        .filter(|rest| rest.get(..6).is_some_and(|kind| kind.eq_ignore_ascii_case("image/")))
        .and_then(|rest| rest.split_once(";base64,"))
        .map(|(_, encoded)| encoded)
        .ok_or("an upload has the form data:image/<type>;base64,…")?;
    let bytes = BASE64_STANDARD.decode(encoded).map_err(|error| format!("the upload is not base64: {error}"))?;
    if bytes.len() > MAX_IMAGE_BYTES {
        return Err(format!("an uploaded picture has at most {MAX_IMAGE_BYTES} bytes"));
    }
    let kind = Kind::of(&bytes).ok_or_else(|| {
        format!("the upload is no PNG, JPEG, GIF, BMP or WebP picture of at most {MAX_EDGE} by {MAX_EDGE} pixels")
    })?;
    Ok(Upload { id: ImageId::random(), kind, bytes })
}
