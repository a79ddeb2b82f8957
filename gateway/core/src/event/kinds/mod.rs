//! The events of each family. Field names carry their units.

macro_rules! events {
    ($(#[$doc:meta])* $name:ident { $(
        $(#[doc = $vdoc:literal])* $variant:ident = $tag:literal { $($(#[doc = $fdoc:literal])* $field:ident: $ty:ty,)* },
    )* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub enum $name { $($(#[doc = $vdoc])* $variant { $($(#[doc = $fdoc])* $field: $ty,)* },)* }

        impl $name {
            /// Every tag of this family.
            pub const TAGS: &'static [&'static str] = &[$($tag,)*];

            /// What each of this family tells, for documents.
            pub(in crate::event) const KINDS: &'static [$crate::event::form::KindForm] = &[$($crate::event::form::KindForm {
                about: &[$($vdoc,)*],
                fields: &[$($crate::event::form::FieldForm {
                    about: &[$($fdoc,)*],
                    form: <$ty as $crate::value::Field>::FORM,
                    name: stringify!($field),
                },)*],
                tag: $tag,
            },)*];

            /// Its tag, one of [`Self::TAGS`].
            #[must_use]
            pub fn tag(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $tag,)* }
            }

            pub(in crate::event) fn fields(&self) -> Vec<(&'static str, $crate::value::Value)> {
                match self {
                    $(Self::$variant { $($field,)* } => vec![$((stringify!($field), $crate::value::Field::to_value($field)),)*],)*
                }
            }

            pub(in crate::event) fn read(tag: &str, fields: &[(String, $crate::value::Value)]) -> Result<Self, $crate::event::record::ReadError> {
                let _ = fields;
                match tag {
                    $($tag => Ok(Self::$variant { $($field: $crate::event::record::field(fields, stringify!($field))?,)* }),)*
                    _ => Err($crate::event::record::ReadError::UnknownKind),
                }
            }
        }
    };
}

mod alarm;
mod call;
mod command;
mod door;
mod gateway;
mod panel;
mod port;
mod reader;

pub use alarm::AlarmEvent;
pub use call::{AccountEvent, CallEvent, LineEvent};
pub use command::{CommandEvent, RuleEvent, UserEvent};
pub use door::{AccessEvent, DoorEvent};
pub use gateway::{DeviceEvent, GatewayEvent, InputEvent, RelayEvent};
pub use panel::PanelEvent;
pub use port::PortEvent;
pub use reader::{ControllerEvent, ReaderEvent};
