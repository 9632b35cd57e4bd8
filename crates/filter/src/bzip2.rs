//! bzip2, as registered with The HDF Group: a chunk is one stream.

use bzip2::{Action, Compress, Compression, Decompress, Status};

use crate::{Encoded, Filter, Problem};

/// bzip2. Client values: the block size in hundreds of kilobytes, 1 to 9, needed for writing only.
#[derive(Debug, Clone, Copy)]
pub struct Bzip2;

/// What libhdf5's plugin compresses with if it is not told.
const USUAL_BLOCK: u32 = 9;

impl Filter for Bzip2 {
    fn name(&self) -> &str {
        "bzip2"
    }

    fn decode(&self, _: &[u32], input: &[u8], output: &mut [u8]) -> Result<usize, Problem> {
        let mut stream = Decompress::new(false);
        let mut beyond = [0];
        loop {
            let (read, written) = (stream.total_in(), stream.total_out());
            // What comes after the output's end does not belong there: room for a byte shows whether there is anything.
            let done = (written as usize).min(output.len());
            let target = if done < output.len() { &mut output[done..] } else { &mut beyond[..] };
            let status = stream
                .decompress(&input[read as usize..], target)
                .map_err(|error| Problem::malformed(format!("not a sound bzip2 stream: {error}")))?;
            if stream.total_out() > output.len() as u64 {
                return Err(Problem::TooLong { limit: output.len() });
            }
            match status {
                Status::StreamEnd => return Ok(stream.total_out() as usize),
                Status::MemNeeded => return Err(Problem::malformed("bzip2 is out of memory")),
                _ if (stream.total_in(), stream.total_out()) == (read, written) => {
                    return Err(Problem::Truncated { length: input.len() });
                }
                _ => {}
            }
        }
    }

    fn encode(&self, values: &[u32], input: &[u8], output: &mut Vec<u8>) -> Result<Encoded, Problem> {
        let block = match values.first().copied().unwrap_or(USUAL_BLOCK) {
            block @ 1..=9 => block,
            block => return Err(Problem::values(format!("bzip2 block size {block}, but sizes are 1 to 9"))),
        };
        let mut stream = Compress::new(Compression::new(block), 0);
        // The longest that bzip2's authors say can happen.
        output.reserve(input.len() + input.len() / 100 + 600);
        loop {
            let read = stream.total_in() as usize;
            let status = stream
                .compress_vec(&input[read..], output, Action::Finish)
                .map_err(|error| Problem::malformed(format!("bzip2 failed: {error}")))?;
            match status {
                Status::StreamEnd => return Ok(Encoded::Done),
                _ => output.reserve(4096),
            }
        }
    }
}
