//! Values that are more than a number or a word.

mod address;
mod alert;
mod audio;
mod boards;
mod card;
mod cidr;
mod directory;
mod display;
mod dot1x;
mod dscp;
mod facility;
mod log;
mod net;
mod notify;
mod outside;
mod panel;
mod route;
mod rule;
mod schedule;
mod scope;
mod telltale;
mod words;

pub use address::{Address, AddressKind, Extension};
pub use alert::{AlertInfo, DigitsOut};
pub use audio::{Capture, Playback, SoundCard};
pub use boards::{BoardProfile, HidBoard, ModbusFraming, Parity, Rs485};
pub(crate) use card::CardText;
pub use cidr::{Cidr4, Cidr6, Ipv4Mode, Ipv6Mode, NetworkManager, PortName};
pub use directory::{AttributeName, DirectoryRefresh, DirectoryTls};
pub use display::DisplayText;
pub use dot1x::{EapInner, EapMethod, InterfaceName, ServerName};
pub use dscp::Dscp;
pub(crate) use dscp::Marks;
pub use facility::FacilityPair;
pub use log::{JournalFields, LogFormat, LogTransport};
pub use net::{BrokerUrl, CallerHost, Country, Host, HostLabel, HostPort, Key, TopicBase};
pub(crate) use net::{Digits, Pin, SiteNumber};
pub use notify::{EventClass, EventName, HttpUrl, MailAddress, MailTls, SyslogFacility, SyslogTransport};
pub use outside::{Pointer, Topic};
pub use panel::{ApartmentNumber, NumberPattern, OwnProfile, PanelProfile};
pub use route::Route;
pub use rule::{FieldIs, MessageTopic, SetWord, StateWord, Tones};
pub use scope::UserScope;
pub(crate) use telltale::{
    PASSWORD, has_path, named_element, named_secret, secret_address, without_password,
};
pub use words::{
    AntiPassback, Backend, Bias, BootPull, ButtonMode, CallIn, CallRefusal, CallerDo, CodeFrom, Codec,
    ContactKey, DigitMethod, DigitsBy, DiscoveryFormat, Duty, EarlyMedia, Echo, Fail, GuardMode, Ice,
    KeepAlive, KeyScope, Keypad, LampShows, Language, LateOpening, LockKind, LockOwner, MqttCommands,
    MqttVersion, NetworkLoss, Noise, OnJournalFault, OnLineFault, OpenWhen, OtherCalls, PressAgain,
    PressInTalk, Privacy, PromptTo, ReliableProvisional, Relock, RexKind, RingBack, Srtp, SrtpKeys, Strategy,
    StrikeOutside, Transfers, Transport,
};
