//! Licence expressions (SPDX specification 2.3, annex D), and the older `A/B` of crates.io for `A OR B`.

/// May a work be used under `text`, if `allowed` says so of each single licence? An exception belongs to its licence:
/// `allowed` is asked for `X WITH Y`. `OR` binds weaker than `AND`.
pub(crate) fn satisfied(text: &str, allowed: impl Fn(&str) -> bool) -> Result<bool, String> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader {
        allowed: &allowed,
        at: 0,
        text,
        words: &words,
    };
    let answer = reader.either()?;
    match reader.peek() {
        None => Ok(answer),
        Some(word) => Err(format!("{text:?} has {word:?} where it should end")),
    }
}

struct Reader<'a> {
    allowed: &'a dyn Fn(&str) -> bool,
    at: usize,
    text: &'a str,
    words: &'a [&'a str],
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.at).copied()
    }

    fn next(&mut self) -> Result<&'a str, String> {
        let word = self
            .peek()
            .ok_or_else(|| format!("{:?} ends too early", self.text))?;
        self.at += 1;
        Ok(word)
    }

    fn eats(&mut self, word: &str) -> bool {
        let found = self.peek() == Some(word);
        self.at += usize::from(found);
        found
    }

    fn either(&mut self) -> Result<bool, String> {
        let mut answer = self.all()?;
        while self.eats("OR") {
            answer |= self.all()?;
        }
        Ok(answer)
    }

    fn all(&mut self) -> Result<bool, String> {
        let mut answer = self.one()?;
        while self.eats("AND") {
            answer &= self.one()?;
        }
        Ok(answer)
    }

    fn one(&mut self) -> Result<bool, String> {
        let word = self.next()?;
        if word == "(" {
            let answer = self.either()?;
            let end = self.next()?;
            return if end == ")" {
                Ok(answer)
            } else {
                Err(format!("{:?} has {end:?} instead of \")\"", self.text))
            };
        }
        if matches!(word, ")" | "AND" | "OR" | "WITH") {
            return Err(format!("{:?} has {word:?} where a licence should be", self.text));
        }
        if self.eats("WITH") {
            let exception = self.next()?;
            return Ok((self.allowed)(&format!("{word} WITH {exception}")));
        }
        Ok((self.allowed)(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_mit(text: &str) -> Result<bool, String> {
        satisfied(text, |licence| matches!(licence, "MIT" | "X WITH Y"))
    }

    #[test]
    fn and_binds_tighter_than_or() {
        assert_eq!(with_mit("MIT OR GPL-2.0 AND GPL-3.0"), Ok(true));
        assert_eq!(with_mit("(MIT OR GPL-2.0) AND GPL-3.0"), Ok(false));
        assert_eq!(with_mit("GPL-3.0 OR (MIT AND X WITH Y)"), Ok(true));
        assert_eq!(with_mit("X"), Ok(false));
        assert_eq!(with_mit("MIT/GPL-3.0"), Ok(true));
    }

    #[test]
    fn what_is_no_expression_is_an_error() {
        for text in ["", "MIT OR", "(MIT", "MIT)", "MIT MIT", "AND MIT", "X WITH"] {
            assert!(with_mit(text).is_err(), "{text:?}");
        }
    }
}
