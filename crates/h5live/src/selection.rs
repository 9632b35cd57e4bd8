//! Which elements of a dataset: everything, a hyperslab, a list of points, a boolean mask.

use std::ops::{Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};

use crate::error::{ErrorKind, Result};

/// A regular pattern along one axis: `count` blocks of `block` elements, their starts `stride` apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slab {
    /// First element.
    pub start: u64,
    /// Distance between the starts of blocks, at least `block`.
    pub stride: u64,
    /// Number of blocks.
    pub count: u64,
    /// Elements per block.
    pub block: u64,
}

impl Slab {
    /// The elements of `range`.
    #[must_use]
    pub fn range(range: Range<u64>) -> Self {
        Self { start: range.start, stride: 1, count: range.end.saturating_sub(range.start), block: 1 }
    }

    /// Every `step`th element of `range`.
    #[must_use]
    pub fn step(range: Range<u64>, step: u64) -> Self {
        let len = range.end.saturating_sub(range.start);
        Self { start: range.start, stride: step.max(1), count: len.div_ceil(step.max(1)), block: 1 }
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.count.saturating_mul(self.block)
    }

    /// Whether it selects nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One past the last element; `None` when that is no 64-bit number.
    #[must_use]
    pub fn end(&self) -> Option<u64> {
        match self.count.checked_sub(1) {
            Some(steps) if self.block > 0 => {
                self.start.checked_add(steps.checked_mul(self.stride)?)?.checked_add(self.block)
            }
            _ => Some(self.start),
        }
    }

    /// Whether the elements lie side by side.
    pub(crate) fn is_contiguous(&self) -> bool {
        self.count <= 1 || self.stride == self.block
    }

    /// The runs of neighbours that fall into `window`: each as (first element, first position in the selection, length).
    pub(crate) fn runs_in(&self, window: Range<u64>) -> impl Iterator<Item = (u64, u64, u64)> + use<> {
        let slab = if self.is_contiguous() && !self.is_empty() {
            Self { start: self.start, stride: self.len(), count: 1, block: self.len() }
        } else {
            *self
        };
        let empty = slab.is_empty() || window.is_empty();
        let last_start = slab.start + slab.count.saturating_sub(1) * slab.stride;
        let first = window.start.saturating_sub(slab.start + slab.block.max(1) - 1).div_ceil(slab.stride.max(1));
        let last = window.end.saturating_sub(1).min(last_start).saturating_sub(slab.start) / slab.stride.max(1);
        let blocks = if empty || window.end <= slab.start || first >= slab.count { 0..0 } else { first..last + 1 };
        blocks.filter_map(move |block| {
            let start = slab.start + block * slab.stride;
            let (from, to) = (start.max(window.start), (start + slab.block).min(window.end));
            (from < to).then(|| (from, block * slab.block + from - start, to - from))
        })
    }
}

/// Which elements of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// The whole extent.
    All,
    /// The product of one [`Slab`] per axis.
    Hyperslab(Vec<Slab>),
    /// Single elements, in this order: the coordinates of each.
    Points(Vec<Vec<u64>>),
}

impl Selection {
    /// The elements for which `mask`, of the shape of the extent in row-major order, is true.
    ///
    /// # Errors
    /// [`ErrorKind::Selection`] when the mask does not have one entry per element.
    pub fn mask(extent: &[u64], mask: &[bool]) -> Result<Self> {
        if elements(extent) != Some(mask.len() as u64) {
            return Err(ErrorKind::Selection {
                why: format!("a mask of {} entries cannot cover the extent", mask.len()),
                extent: extent.to_vec(),
            }
            .into());
        }
        let chosen = mask.iter().enumerate().filter(|(_, chosen)| **chosen);
        Ok(Self::Points(chosen.map(|(at, _)| coordinates(at as u64, extent)).collect()))
    }

    /// The shape of what it selects from `extent`: an axis per slab; one axis for points.
    ///
    /// # Errors
    /// [`ErrorKind::Selection`] when the rank differs, a slab is not one, or an element lies outside the extent.
    pub fn shape(&self, extent: &[u64]) -> Result<Vec<u64>> {
        let outside = |why: String| ErrorKind::Selection { why, extent: extent.to_vec() }.into();
        match self {
            Self::All => Ok(extent.to_vec()),
            Self::Hyperslab(slabs) => {
                if slabs.len() != extent.len() {
                    return Err(outside(format!("{} axes selected of {}", slabs.len(), extent.len())));
                }
                for (axis, (slab, dim)) in slabs.iter().zip(extent).enumerate() {
                    if slab.count > 1 && slab.stride < slab.block.max(1) {
                        return Err(outside(format!("axis {axis}: stride {} below block {}", slab.stride, slab.block)));
                    }
                    if slab.end().is_none_or(|end| end > *dim) && !(slab.is_empty() && slab.start <= *dim) {
                        return Err(outside(format!("axis {axis}: {slab:?} reaches outside {dim} elements")));
                    }
                }
                Ok(slabs.iter().map(Slab::len).collect())
            }
            Self::Points(points) => {
                for point in points {
                    if point.len() != extent.len() || point.iter().zip(extent).any(|(at, dim)| at >= dim) {
                        return Err(outside(format!("point {point:?} lies outside")));
                    }
                }
                Ok(vec![points.len() as u64])
            }
        }
    }

    /// The same as one slab per axis, unless it is a list of points.
    pub(crate) fn slabs(&self, extent: &[u64]) -> Option<Vec<Slab>> {
        match self {
            Self::All => Some(extent.iter().map(|dim| Slab::range(0..*dim)).collect()),
            Self::Hyperslab(slabs) => Some(slabs.clone()),
            Self::Points(_) => None,
        }
    }
}

/// Number of elements of an extent; `None` above 64 bits.
pub(crate) fn elements(extent: &[u64]) -> Option<u64> {
    if extent.contains(&0) {
        return Some(0);
    }
    extent.iter().try_fold(1u64, |product, dim| product.checked_mul(*dim))
}

/// The coordinates of the `at`th element in row-major order.
pub(crate) fn coordinates(mut at: u64, extent: &[u64]) -> Vec<u64> {
    let mut point = vec![0; extent.len()];
    for (to, dim) in point.iter_mut().zip(extent).rev() {
        *to = at % dim;
        at /= dim;
    }
    point
}

/// What a program may say to select along the first axis (the others whole), or along several axes.
pub trait IntoSelection {
    /// The selection it means for a dataset of this extent.
    fn into_selection(self, extent: &[u64]) -> Selection;
}

impl IntoSelection for Selection {
    fn into_selection(self, _: &[u64]) -> Selection {
        self
    }
}

impl IntoSelection for &Selection {
    fn into_selection(self, _: &[u64]) -> Selection {
        self.clone()
    }
}

impl IntoSelection for RangeFull {
    fn into_selection(self, _: &[u64]) -> Selection {
        Selection::All
    }
}

impl IntoSelection for Vec<Slab> {
    fn into_selection(self, _: &[u64]) -> Selection {
        Selection::Hyperslab(self)
    }
}

impl<const RANK: usize> IntoSelection for [Range<u64>; RANK] {
    fn into_selection(self, _: &[u64]) -> Selection {
        Selection::Hyperslab(self.into_iter().map(Slab::range).collect())
    }
}

/// Rows `rows`, every other axis whole.
fn rows(rows: Range<u64>, extent: &[u64]) -> Selection {
    let others = extent.iter().skip(1).map(|dim| Slab::range(0..*dim));
    Selection::Hyperslab(std::iter::once(Slab::range(rows)).chain(others).collect())
}

fn first_dim(extent: &[u64]) -> u64 {
    extent.first().copied().unwrap_or(0)
}

impl IntoSelection for Range<u64> {
    fn into_selection(self, extent: &[u64]) -> Selection {
        rows(self, extent)
    }
}

impl IntoSelection for RangeInclusive<u64> {
    fn into_selection(self, extent: &[u64]) -> Selection {
        rows(*self.start()..self.end().saturating_add(1), extent)
    }
}

impl IntoSelection for RangeFrom<u64> {
    fn into_selection(self, extent: &[u64]) -> Selection {
        rows(self.start..first_dim(extent).max(self.start), extent)
    }
}

impl IntoSelection for RangeTo<u64> {
    fn into_selection(self, extent: &[u64]) -> Selection {
        rows(0..self.end, extent)
    }
}

impl IntoSelection for RangeToInclusive<u64> {
    fn into_selection(self, extent: &[u64]) -> Selection {
        rows(0..self.end.saturating_add(1), extent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_agree_with_counting() {
        for (start, stride, count, block) in
            [(0, 1, 10, 1), (3, 4, 5, 2), (5, 3, 1, 3), (2, 2, 6, 2), (0, 5, 0, 1), (7, 1, 1, 1), (1, 7, 3, 1)]
        {
            let slab = Slab { start, stride, count, block };
            let all: Vec<u64> = (0..count).flat_map(|b| (0..block).map(move |i| start + b * stride + i)).collect();
            for from in 0..30 {
                for to in from..30 {
                    let expected: Vec<_> = all.iter().enumerate().filter(|(_, e)| (from..to).contains(*e)).collect();
                    let runs: Vec<_> = slab.runs_in(from..to).collect();
                    let told: Vec<(usize, u64)> = runs
                        .iter()
                        .flat_map(|(element, position, len)| {
                            (0..*len).map(move |i| ((position + i) as usize, element + i))
                        })
                        .collect();
                    let expected: Vec<(usize, u64)> = expected.into_iter().map(|(at, e)| (at, *e)).collect();
                    assert_eq!(told, expected, "{slab:?} in {from}..{to}");
                }
            }
        }
    }

    #[test]
    fn what_lies_outside_is_refused() {
        let extent = [4, 6];
        for selection in [
            Selection::Hyperslab(vec![Slab::range(0..5), Slab::range(0..6)]),
            Selection::Hyperslab(vec![Slab::range(0..4)]),
            Selection::Hyperslab(vec![Slab { start: 0, stride: 1, count: 2, block: 2 }, Slab::range(0..1)]),
            Selection::Hyperslab(vec![Slab { start: 1, stride: u64::MAX, count: 3, block: 1 }, Slab::range(0..1)]),
            Selection::Points(vec![vec![3, 5], vec![4, 0]]),
            Selection::Points(vec![vec![3]]),
        ] {
            assert!(selection.shape(&extent).is_err(), "{selection:?}");
        }
        assert_eq!((1..3).into_selection(&extent).shape(&extent).unwrap(), [2, 6]);
        assert_eq!(Selection::mask(&extent, &[true; 24]).unwrap().shape(&extent).unwrap(), [24]);
    }
}
