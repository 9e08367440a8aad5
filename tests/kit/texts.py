"""Texts in the scripts that search treats differently, for generated cases."""

from __future__ import annotations

from hypothesis import strategies as st

SAMPLES = [
    "Café STRASSE ﬁne ½ Đường İı e\u0301 foo_bar it's 3.14",
    "昨日東京都に行きました 京都 猫 𠮷野家 々",
    "パリ バリ ハリ ﾊﾟﾘ ﾊﾞﾘ ー Python入門 iPhone15を買った",
    "대한민국의 수도는 서울입니다 ㅋㅋ \u1112\u1161\u11ab",
    "ฉันรักประเทศไทย น้ำ ไม้ ไม่ ປະເທດລາວ",
    "ភាសាខ្មែរ မြန်မာစာ བོད་སྐད",
    "कम काम क़लम हिन्दी தமிழ் বাংলা",
    "бой бои ёлка їжак за\u0301мок",
    "مُحَمَّد أسد بئر محـمد می\u200cخواهم שָׁלוֹם שלום",
    "Σίσυφος ᾼδης Ἀθῆναι",
    '"a b" -c ¶ % _ \\ * ( ) : ^ & | < > \u200b \u00ad \ufe0f ☃\U0001f9f6',
]
# Whole words, single characters and joining characters, combined at random.
_words = st.sampled_from(sorted({word for line in SAMPLES for word in line.split()}))
_characters = st.sampled_from(sorted({char for line in SAMPLES for char in line}))
_between = st.sampled_from(["", "", " ", "、", "-"])
texts = st.lists(st.tuples(st.one_of(_words, _characters), _between), max_size=12).map(
    lambda pairs: "".join(part for pair in pairs for part in pair)
)
