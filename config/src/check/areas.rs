//! Areas: readers that lead into one place each, and ways out.

use gateway_core::{AreaId, ReaderId};

use super::Check;
use crate::fault::FaultKind;
use crate::model::Reader;
use crate::value::AntiPassback;

pub(super) fn check(check: &mut Check<'_>) {
    for (id, reader) in &check.config.readers {
        one_way(check, id, reader);
    }
    for (id, area) in &check.config.areas {
        let leads = |of: &dyn Fn(&Reader) -> bool| check.config.readers.values().any(of);
        let entered = leads(&|reader| reader.into.as_ref() == Some(id));
        let left = leads(&|reader| {
            reader.out_of.as_ref() == Some(id) || reader.into.as_ref().is_some_and(|into| into != id)
        });
        let at = format!("areas.{id}");
        if !entered {
            let text = "no reader leads into this area".to_owned();
            check.warn(FaultKind::Conflict, &at, text, "add to a reader: into = \"…\"");
        } else if !left && area.anti_passback == AntiPassback::Hard {
            let text =
                "nobody is seen leaving this area: whoever went in is refused until the time-out".to_owned();
            let hint = "add to a reader inside: out-of = \"…\", or set anti-passback = \"soft\"";
            check.warn(FaultKind::Conflict, &at, text, hint);
        }
        mixed(check, id);
    }
}

/// Which way somebody goes must be certain. That a reader is at one door only is asked of all of them.
fn one_way(check: &mut Check<'_>, id: &ReaderId, reader: &Reader) {
    if let (Some(into), Some(out_of)) = (&reader.into, &reader.out_of)
        && into == out_of
    {
        let text = format!("the reader leads into {:?} and out of it", into.as_str());
        let hint = "allowed: two different areas, or one of both keys";
        let at = format!("readers.{id}.out-of");
        check.fault(FaultKind::Conflict, &at, &[], text, hint);
    }
}

/// A virtual reader must have no say over who comes in at a real one.
fn mixed(check: &mut Check<'_>, id: &AreaId) {
    let of = |virtual_ones: bool| {
        let readers = check.config.readers.iter();
        let mut readers = readers.filter(|(_, reader)| {
            [&reader.into, &reader.out_of].contains(&&Some(id.clone()))
                && reader.driver.is_virtual() == virtual_ones
        });
        readers.next().map(|(reader, _)| reader.clone())
    };
    if let (Some(unreal), Some(real)) = (of(true), of(false)) {
        let text = format!(
            "the area is entered or left at the virtual reader {:?} and at the real one {:?}",
            unreal.as_str(),
            real.as_str()
        );
        let hint = "allowed: areas with virtual readers only, or with real ones only";
        check.fault(FaultKind::Unsafe, &format!("areas.{id}"), &[], text, hint);
    }
}
