//! The two object modification time messages (specification IV.A.2.o and s).

use crate::{Cursor, Malformed, Put, Result, Why};

/// When an object was last changed: seconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModificationTime(pub u32);

impl ModificationTime {
    /// Decodes the body, at address `at`, of a modification time message (type 0x0012).
    ///
    /// # Errors
    /// An unknown version, or bytes that end early.
    pub fn decode(bytes: &[u8], at: u64) -> Result<Self> {
        let mut cursor = Cursor::new("object modification time message", at, bytes);
        cursor.version(1)?;
        cursor.skip("reserved", 3)?;
        cursor.u32("seconds after UNIX epoch").map(Self)
    }

    /// Decodes the body, at address `at`, of an old modification time message (type 0x000e): fourteen digits of a date
    /// in UTC.
    ///
    /// # Errors
    /// No date, a date before 1970 or after 2106, or bytes that end early.
    pub fn decode_old(bytes: &[u8], at: u64) -> Result<Self> {
        let mut cursor = Cursor::new("object modification time (old) message", at, bytes);
        let year = digits(&mut cursor, "year", 4)?;
        let month = digits(&mut cursor, "month", 2)?;
        let day = digits(&mut cursor, "day of month", 2)?;
        let hour = digits(&mut cursor, "hour", 2)?;
        let minute = digits(&mut cursor, "minute", 2)?;
        let second = digits(&mut cursor, "second", 2)?;
        let real = year >= 1970
            && (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && hour < 24
            && minute < 60
            && second <= 60;
        if !real {
            return Err(no_date(&cursor));
        }
        let seconds = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
        u32::try_from(seconds).map(Self).map_err(|_| no_date(&cursor))
    }

    /// The body of a modification time message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![1, 0, 0, 0];
        out.put_u32(self.0);
        out
    }
}

fn no_date(cursor: &Cursor<'_>) -> Malformed {
    cursor.error(Why::Text("not a date between 1970 and 2106"))
}

fn digits(cursor: &mut Cursor<'_>, field: &'static str, count: usize) -> Result<u64> {
    let text = cursor.take(field, count)?;
    if !text.iter().all(u8::is_ascii_digit) {
        return Err(no_date(cursor));
    }
    Ok(text.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0')))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, from 1970 on.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    // Years that start in March have their leap day last.
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let leap_days = year / 4 - year / 100 + year / 400;
    const DAYS_TO_1970: u64 = 719_468;
    year * 365 + leap_days + day_of_year - DAYS_TO_1970
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{hex, reads, reads_and_writes};

    #[test]
    fn reads_both_messages() {
        let decode = |bytes: &[u8]| ModificationTime::decode(bytes, 0);
        reads_and_writes(&hex("01000000 3f92026b"), &ModificationTime(0x6b02_923f), decode, ModificationTime::encode);

        let old = |bytes: &[u8]| ModificationTime::decode_old(bytes, 0);
        let rows = [
            (b"19700101000000", 0),
            (b"19990707193318", 931_375_998),
            (b"20000229235959", 951_868_799),
            (b"20030130201707", 1_043_957_827),
            (b"21060207062815", u32::MAX),
        ];
        for (text, seconds) in rows {
            reads(text, &ModificationTime(seconds), old);
        }
        let refused = [
            b"19691231235959",
            b"20001301000000",
            b"20000132000000",
            b"2000010124 000",
            b"21060207062816",
            b"99991231235959",
        ];
        for text in refused {
            assert!(old(text).is_err(), "{}", String::from_utf8_lossy(text));
        }
    }
}
