//! What status codes mean for a leg, and which codes say what we mean.

use gateway_core::Cause;

/// Why an INVITE of ours failed. `rang` is true if the target had rung.
pub(crate) const fn cause_of(status: u16, rang: bool) -> Cause {
    match status {
        486 | 600 => Cause::Busy,
        404 | 410 | 484 | 485 | 604 => Cause::NotFound,
        603 | 607 => Cause::Declined,
        // many phones say so when their button to decline is pressed
        480 if rang => Cause::Declined,
        480 => Cause::Unavailable,
        408 | 487 => {
            if rang {
                Cause::NoAnswer
            } else {
                Cause::Unreachable
            }
        }
        415 | 488 | 606 => Cause::Media,
        500..=599 | 430 => Cause::Unreachable,
        _ => Cause::Refused,
    }
}

/// The final response that refuses an incoming leg for this cause.
pub(crate) const fn refusal_of(cause: Cause) -> u16 {
    match cause {
        Cause::Busy => 486,
        Cause::Declined => 603,
        Cause::Media => 488,
        Cause::NotFound => 404,
        Cause::AnsweredElsewhere
        | Cause::Cancelled
        | Cause::GatewayRestarted
        | Cause::NoAnswer
        | Cause::Normal
        | Cause::Refused
        | Cause::Released
        | Cause::TalkLimit
        | Cause::Unavailable
        | Cause::Unreachable => 480,
    }
}

/// Text of the Reason and Warning headers that go with a refusal or a BYE.
pub(crate) const fn words_of(cause: Cause) -> &'static str {
    match cause {
        Cause::AnsweredElsewhere => "Call completed elsewhere",
        Cause::Busy => "The line is busy",
        Cause::Cancelled => "Cancelled",
        Cause::Declined => "Declined",
        Cause::GatewayRestarted => "The gateway was started anew",
        Cause::Media => "No common media",
        Cause::NoAnswer => "No answer",
        Cause::Normal => "Normal call clearing",
        Cause::NotFound => "No such door",
        Cause::Refused => "This door takes no calls at this time",
        Cause::Released => "Released by the door",
        Cause::TalkLimit => "Talk limit reached",
        Cause::Unavailable => "This door takes no calls now",
        Cause::Unreachable => "Media stopped",
    }
}

/// Q.850 cause that says the same (RFC 3326, RFC 6432).
pub(crate) const fn q850_of(cause: Cause) -> u8 {
    match cause {
        Cause::AnsweredElsewhere => 26,
        Cause::Busy => 17,
        Cause::Cancelled | Cause::Normal | Cause::Released | Cause::TalkLimit => 16,
        Cause::Declined => 21,
        Cause::GatewayRestarted => 41,
        Cause::Media => 65,
        Cause::NoAnswer => 19,
        Cause::NotFound => 1,
        Cause::Refused | Cause::Unavailable => 20,
        Cause::Unreachable => 41,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_codes_move_the_call_plan_on_for_the_right_reason() {
        for (status, rang, cause) in [
            (486, true, Cause::Busy),
            (600, false, Cause::Busy),
            (404, false, Cause::NotFound),
            (410, false, Cause::NotFound),
            (484, false, Cause::NotFound),
            (604, false, Cause::NotFound),
            (603, true, Cause::Declined),
            (480, true, Cause::Declined),
            (480, false, Cause::Unavailable),
            (408, true, Cause::NoAnswer),
            (408, false, Cause::Unreachable),
            (488, false, Cause::Media),
            (503, false, Cause::Unreachable),
            (403, false, Cause::Refused),
            (302, false, Cause::Refused),
        ] {
            assert_eq!(cause_of(status, rang), cause, "{status} {rang}");
        }
    }
}
