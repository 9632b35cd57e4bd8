//! Members of groups as a tree: the lines that join them to what they are in.

/// What stands in front of an entry, and in front of the lines beneath it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Branch {
    /// In front of the entry.
    pub(crate) first: String,
    /// In front of what is said of it in lines of its own.
    pub(crate) below: String,
}

/// The branches of entries in the order of a walk, of which each is told how deep it is: 0 for what is in the group itself.
pub(crate) fn branches(depths: &[usize]) -> Vec<Branch> {
    // From behind: whether there is another one after this on its level.
    let mut more: Vec<bool> = Vec::new();
    let mut is_last: Vec<bool> = depths
        .iter()
        .rev()
        .map(|depth| {
            more.resize(depth + 1, false);
            !std::mem::replace(&mut more[*depth], true)
        })
        .collect();
    is_last.reverse();
    // The last of each level so far.
    let mut above: Vec<bool> = Vec::new();
    let mut branches = Vec::with_capacity(depths.len());
    for (at, (depth, last)) in depths.iter().zip(is_last).enumerate() {
        above.truncate(*depth);
        let stem: String = above.iter().map(|last| if *last { "   " } else { "│  " }).collect();
        let has_members = depths.get(at + 1).is_some_and(|next| next > depth);
        let first = format!("{stem}{}", if last { "└─ " } else { "├─ " });
        let below = format!("{stem}{}{}", if last { "   " } else { "│  " }, if has_members { "│  " } else { "   " });
        branches.push(Branch { first, below });
        above.push(last);
    }
    branches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_end_where_nothing_follows() {
        let told: Vec<[String; 2]> =
            branches(&[0, 1, 2, 1, 0, 1]).into_iter().map(|branch| [branch.first, branch.below]).collect();
        let expected = [
            ["├─ ", "│  │  "],
            ["│  ├─ ", "│  │  │  "],
            ["│  │  └─ ", "│  │        "],
            ["│  └─ ", "│        "],
            ["└─ ", "   │  "],
            ["   └─ ", "         "],
        ];
        assert_eq!(told, expected);
        assert!(branches(&[]).is_empty());
    }
}
