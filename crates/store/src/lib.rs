//! What must not be lost: conversations, stored responses, feedback, settings, sources and their texts. SQLite; a write that returned `Ok` is on
//! the disk. The store knows no model and no HTTP.

mod addresses;
mod clock;
mod collections;
mod conversations;
mod entity;
mod error;
mod feedback;
mod members;
mod messages;
mod migrations;
mod open;
mod receipts;
mod responses;
mod scope;
mod settings;
mod shelf;
mod sources;
mod texts;
mod transfer;
mod uploads;

pub use addresses::WebAddress;
pub use collections::{Collection, CollectionChange, NewCollection};
pub use conversations::{Conversation, ConversationChange, Hit, NewConversation};
pub use error::StoreError;
pub use feedback::{Feedback, NewFeedback, Verdict};
pub use members::{Batch, Joining, Member, MemberPage, Standing, Standings};
pub use messages::{Message, MessageUpdate, NewMessage, Role, State};
pub use open::Store;
pub use receipts::{KeptStanding, Receipt};
pub use responses::StoredResponse;
pub use scope::Scope;
pub use shelf::{Shelf, ShelfPage};
pub use sources::{NewSource, Put, PutOutcome, Source, SourceFilter, SourceState};
pub use texts::{NewText, TextInfo};
pub use transfer::{Document, FORMAT};
pub use uploads::{File, FilePage, NewUpload};
