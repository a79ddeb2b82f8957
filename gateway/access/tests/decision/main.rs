//! The access decision: rule by rule, and random requests against models that were written apart from it.

mod arrivals;
mod decisions;
mod in_time;
mod model;
mod named;
mod passback;
mod people;
mod restraints;
mod second;
mod site;
mod withheld;
