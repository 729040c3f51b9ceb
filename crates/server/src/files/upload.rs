//! `POST /v1/files`: a form with the file and what it is for. The file goes to the disk while it arrives; its name is
//! only a label.

use axum::Json;
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest, Request, State};
use candor_store::File;
use candor_truth::Arriving;
use candor_wire::files::FileObject;
use http::header;
use utoipa::ToSchema;

use super::{PURPOSES, intake, object};
use crate::{ApiError, App};

/// Characters of a file's name: what file systems take.
const MOST_NAME: usize = 255;
/// Bytes of a field that is no file.
const MOST_FIELD: usize = 1000;
/// Fields of a form.
const MOST_FIELDS: usize = 20;

/// A file and what it is for.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
pub(crate) struct Upload {
    /// The file, with its name.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// `assistants` or `user_data`; there is no difference here.
    #[schema(pattern = "^(assistants|user_data)$")]
    purpose: String,
}

/// Uploads a file. It is kept when this answers; its text follows (`status`: `uploaded`, then `processed` or `error`).
#[utoipa::path(post, path = "/v1/files", tag = "files", request_body(content = Upload, content_type = "multipart/form-data"), responses((status = 200, body = FileObject), crate::api::openapi::Errors))]
pub(crate) async fn upload(State(app): State<App>, request: Request) -> Result<Json<FileObject>, ApiError> {
    let intake = intake(&app)?.clone();
    let limit = app.config.max_upload_bytes;
    let length = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    // A little more than the file: the form around it.
    if length.is_some_and(|length| length > limit.saturating_add(64 * 1024)) {
        return Err(ApiError::FileTooLarge(limit));
    }
    let _permit = app.admit()?;
    let mut form = Multipart::from_request(request, &app)
        .await
        .map_err(|_| ApiError::FormType)?;
    let (mut file, mut purpose) = (None, None);
    let mut fields = 0;
    while let Some(field) = in_time(&app, form.next_field()).await? {
        fields += 1;
        if fields > MOST_FIELDS {
            return Err(ApiError::invalid(
                "the form has too many fields; send `file` and `purpose`",
            ));
        }
        let name = field.name().unwrap_or_default().to_owned();
        match name.as_str() {
            "file" if file.is_some() => {
                return Err(ApiError::param("file", "send one `file` at a time"));
            }
            "file" => {
                let name = label(field.file_name())?;
                let part = intake.begin(&uuid::Uuid::now_v7().simple().to_string()).await?;
                file = Some((name, arrive(&app, field, part, limit).await?));
            }
            "purpose" => purpose = Some(checked_purpose(&word(&app, field).await?)?),
            name if name.starts_with("expires_after") => {
                let message = "files stay until they are deleted; leave `expires_after` out";
                return Err(ApiError::param("expires_after", message));
            }
            // As with JSON, what no server knows is read over.
            _ => {
                word(&app, field).await?;
            }
        }
    }
    let (name, part) = file.ok_or_else(|| {
        ApiError::param(
            "file",
            "the form has no `file`; send the file in a field of this name, with its file name",
        )
    })?;
    let purpose =
        purpose.ok_or_else(|| ApiError::param("purpose", "`purpose` is missing; send `assistants` or `user_data`"))?;
    if part.bytes() == 0 {
        return Err(ApiError::param("file", "the file is empty; there is nothing to keep"));
    }
    let source = intake.accept(part, name, purpose.to_owned()).await?;
    Ok(Json(object(File {
        source,
        purpose: Some(purpose.to_owned()),
    })))
}

/// Each step of a form has the time that a whole body has elsewhere.
async fn in_time<T>(app: &App, step: impl Future<Output = Result<T, MultipartError>>) -> Result<T, ApiError> {
    match tokio::time::timeout(app.config.read_timeout(), step).await {
        Err(_) => Err(ApiError::Timeout(app.config.read_timeout_s)),
        Ok(Err(error)) => {
            let said: String = error.body_text().chars().take(200).collect();
            Err(ApiError::invalid(format!(
                "the form does not parse or broke off ({said}); send it again as multipart/form-data"
            )))
        }
        Ok(Ok(done)) => Ok(done),
    }
}

async fn arrive(app: &App, mut field: Field<'_>, mut part: Arriving, limit: u64) -> Result<Arriving, ApiError> {
    while let Some(bytes) = in_time(app, field.chunk()).await? {
        if part.bytes() + bytes.len() as u64 > limit {
            return Err(ApiError::FileTooLarge(limit));
        }
        part.write(&bytes).await?;
    }
    Ok(part)
}

/// A short field as text.
async fn word(app: &App, mut field: Field<'_>) -> Result<String, ApiError> {
    let name: String = field.name().unwrap_or_default().chars().take(50).collect();
    let mut bytes = Vec::new();
    while let Some(more) = in_time(app, field.chunk()).await? {
        if bytes.len() + more.len() > MOST_FIELD {
            let message = format!("the form's field `{name}` is longer than {MOST_FIELD} bytes");
            return Err(ApiError::param(name, message));
        }
        bytes.extend_from_slice(&more);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn checked_purpose(given: &str) -> Result<&'static str, ApiError> {
    PURPOSES.into_iter().find(|purpose| *purpose == given).ok_or_else(|| {
        let given: String = given.chars().take(50).collect();
        let message = format!(
            "`purpose` must be `assistants` or `user_data`, which are the same here; `{given}` is for something that this server does not do"
        );
        ApiError::param("purpose", message)
    })
}

/// What people call the file: the last part of its name, without characters that only machines see.
fn label(given: Option<&str>) -> Result<String, ApiError> {
    let refused = |message: String| ApiError::param("file", message);
    let given = given.ok_or_else(|| refused("the field `file` needs a file name in UTF-8".into()))?;
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last.chars().filter(|c| !c.is_control() && !turns(*c)).collect();
    let name = name.trim();
    let length = name.chars().count();
    if length > MOST_NAME {
        return Err(refused(format!(
            "the file's name has {length} characters and may have {MOST_NAME}; send a shorter one"
        )));
    }
    match name {
        "" | "." | ".." => Ok("file".into()),
        name => Ok(name.to_owned()),
    }
}

/// Marks that turn the direction of writing around, so that `exe.txt` can read as another name.
fn turns(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::{checked_purpose, label};

    #[test]
    fn a_path_in_a_file_name_is_only_its_last_part() {
        for (given, name) in [
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\me\\notes.txt", "notes.txt"),
            ("a\0b\n.txt", "ab.txt"),
            ("..", "file"),
            ("dir/", "file"),
            ("报告.pdf", "报告.pdf"),
            ("annual\u{202e}fdp.exe", "annualfdp.exe"),
        ] {
            assert_eq!(label(Some(given)).unwrap(), name);
        }
    }

    #[test]
    fn a_name_that_no_file_system_takes_is_refused() {
        assert!(
            label(Some(&"x".repeat(10_000)))
                .unwrap_err()
                .to_string()
                .contains("10000 characters")
        );
        assert!(label(None).unwrap_err().to_string().contains("UTF-8"));
    }

    #[test]
    fn a_purpose_of_something_that_is_not_here_is_refused_by_name() {
        assert_eq!(checked_purpose("user_data").unwrap(), "user_data");
        assert!(
            checked_purpose("fine-tune")
                .unwrap_err()
                .to_string()
                .contains("`fine-tune`")
        );
    }
}
