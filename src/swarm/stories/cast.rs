//! Who is in a story, and how they are spoken of.

/// The pronoun a character goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pronoun {
    /// she, her, hers.
    She,
    /// he, him, his.
    He,
    /// they, them, their: two characters who do everything together.
    They,
}

/// A character of a story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Character {
    /// As the story calls them: "Mia", "Mrs Hill", "Anna and Tom".
    pub name: String,
    /// What they are: "girl", "fox", "baker", "twins".
    pub kind: String,
    /// How the story refers back to them.
    pub pronoun: Pronoun,
}

impl Pronoun {
    /// she, he, they.
    pub fn subject(self) -> &'static str {
        self.pick("she", "he", "they")
    }

    /// her, him, them.
    pub fn object(self) -> &'static str {
        self.pick("her", "him", "them")
    }

    /// her, his, their.
    pub fn possessive(self) -> &'static str {
        self.pick("her", "his", "their")
    }

    /// herself, himself, themselves.
    pub fn reflexive(self) -> &'static str {
        self.pick("herself", "himself", "themselves")
    }

    /// Whether verbs take the plural.
    pub fn is_plural(self) -> bool {
        self == Pronoun::They
    }

    /// `one` for a single character, `many` for two.
    pub fn agree<'w>(self, one: &'w str, many: &'w str) -> &'w str {
        if self.is_plural() { many } else { one }
    }

    fn pick(self, she: &'static str, he: &'static str, they: &'static str) -> &'static str {
        match self {
            Pronoun::She => she,
            Pronoun::He => he,
            Pronoun::They => they,
        }
    }
}
