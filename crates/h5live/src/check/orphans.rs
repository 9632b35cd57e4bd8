//! Objects that nothing leads to: after links are lost, their headers are looked for where nobody owns the bytes. (Version 1
//! headers have no signature to know them by.)

use h5live_format::Addr;

use super::walk::Walk;
use crate::error::Result;
use crate::group::kind_of;
use crate::object::header::ObjectHeader;

const SIGNATURE: &[u8] = b"OHDR";
/// Bytes looked through at once.
const BLOCK: u64 = 1 << 20;

impl Walk<'_> {
    /// Finds object headers that are whole, and looks at these objects as if something led to them.
    pub(super) fn look_for_orphans(&mut self) -> Result<()> {
        let mut found = Vec::new();
        for gap in self.owners.unowned(self.physical) {
            let mut at = gap.start;
            while at < gap.end {
                // A signature may lie across two blocks.
                let len = (BLOCK + SIGNATURE.len() as u64 - 1).min(gap.end - at);
                let bytes = self.source.bytes("object header", Addr(at), len)?;
                let places = bytes.windows(SIGNATURE.len()).enumerate().filter(|(_, found)| *found == SIGNATURE);
                found.extend(places.map(|(place, _)| Addr(at + place as u64)));
                at += BLOCK;
            }
        }
        found.dedup();
        for addr in found {
            // One that was met before may have led to this one.
            let is_object = ObjectHeader::read(&self.source, addr).is_ok_and(|header| kind_of(&header).is_some());
            if is_object && !self.met.contains_key(&addr) && self.owners.is_free(addr.0..addr.0 + 1) {
                self.orphans.push(addr);
                self.lead_to(addr, format!("/lost+found/object at {addr}"));
                self.objects()?;
            }
        }
        Ok(())
    }
}
