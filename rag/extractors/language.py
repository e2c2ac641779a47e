"""Which language a text is written in, by its smallest words, and the words that are no keywords there."""

from collections import Counter

from rag.extractors.words import STOP_WORDS, words
from rag.types import Document

_SMALL_WORDS = {
    "en": "the of and to in is that for with are was this",
    "de": "der die und das ist nicht mit den ein für auf von",
    "fr": "le la les et est dans une des pour que pas sur",
    "es": "el los las y es una para que con por del como",
    "it": "il che di è una per con del della sono gli non",
    "pt": "os que de não uma para com do da em são mais",
    "nl": "de het een en van is dat niet op voor met zijn",
}
_MIN_SHARE = 0.05
_MIN_LETTERS = 60
_MIN_HITS = 3
_MIN_MARGIN = 1.25
"""Times the hits of the second best: related languages share small words."""

_MORE_STOP_WORDS = {
    "de": "aber alle als also am an auch aus bei bin bis bist da damit dann dass dein dem denn des dich dir doch dort "
    "du durch eine einem einen einer eines er es etwas euch euer für gegen hab habe haben hat hatte hier hin hinter "
    "ich ihm ihn ihr ihre im in ins ja jede jeder jedes kann kein keine können man mehr mein mich mir nach nein noch "
    "nur ob oder ohne sehr sein seine selbst sich sie sind so soll sondern über um uns unser unter vom vor war waren "
    "was weil welche wenn wer werden wie wieder will wir wird wo zu zum zur zwischen",
    "fr": "ai as au aux avec avoir ce ces cette chez comme dans de depuis deux donc du elle elles en entre est et "
    "étaient était été être eu eux fait ici il ils je leur leurs lui ma mais me même mes moi mon ne ni nos notre nous "
    "on ont ou où par parce peut plus puis qu quand quel quelle qui sa sans se ses si son sont sous ta te tes toi ton "
    "tous tout toute très tu un vos votre vous y à",
    "es": "a al algo ante antes aunque cada cual cuando de desde donde dos e ella ellas ellos en entre era eran es esa "
    "ese eso esta este esto están está estas estos fue fueron ha han hasta hay la le les lo más me mi mientras muy no "
    "nos o otra otro pero poco porque quien se sea según ser si sin sobre son su sus también tan te tiene todo todos "
    "tu un unas uno unos ya yo",
    "it": "a ad ai al alla alle anche ancora avere c che chi ci come cui da dai dal dalla delle dello degli "
    "dei di dove "
    "e ed era erano essere fra ha hai hanno ho i il in io la le lei li lo loro lui ma me mi mio ne nei nel nella nelle "
    "noi nostro o ogni perché più poi qua quale quando quello questa questo qui se sei si sia solo sono sta su sua sue "
    "sul sulla suo te ti tra tu tutti tutto un uno vi voi",
    "pt": "a ao aos as até cada com como da das de dela dele deles depois do dos e ela elas ele eles em entre era eram "
    "essa esse esta este eu foi foram há isso isto já lhe lo mas me mesmo meu minha muito na nas no nos nossa nosso o "
    "ou para pela pelo por quando quem se sem ser seu seus sobre sua suas são também te tem tinha todo todos tu tudo "
    "um uns você à às é",
    "nl": "aan af al alle als bij daar dan de deze die dit doch doen door dus een eens er ge geen haar had heb hebben "
    "heeft hem hen hier hij hoe hun iets ik in ja je kan kon maar me meer men mij mijn moet na naar nog nu of om omdat "
    "ons onze ook over te tegen toch toen tot u uit uw veel waar was wat we wel werd wie wij wil worden wordt zal ze "
    "zich zij zo zonder zou",
}
LANGUAGES = tuple(_SMALL_WORDS)


def stop_words(language: str) -> frozenset[str]:
    """Of one of `LANGUAGES`."""
    if language == "en":
        return STOP_WORDS
    return frozenset(f"{_SMALL_WORDS[language]} {_MORE_STOP_WORDS[language]}".split())


def detect_language(text: str) -> str:
    """ISO 639-1 code by the share of each language's smallest words; "" where none stands out or the text is short."""
    if len(text) < _MIN_LETTERS or sum(map(str.isalpha, text)) < _MIN_LETTERS:
        return ""
    counts = Counter(word.lower() for word in words(text))
    hits = {code: sum(counts[word] for word in small.split()) for code, small in _SMALL_WORDS.items()}
    second, best = sorted(hits, key=lambda code: hits[code])[-2:]
    least = max(_MIN_HITS, _MIN_SHARE * counts.total(), _MIN_MARGIN * hits[second])
    return best if hits[best] >= least else ""


def natural_language(text: str, document: Document) -> dict[str, str]:
    """`language` where one stands out, unless the file has said it: its own, or that of source code."""
    found = "" if "language" in document.metadata else detect_language(text)
    return {"language": found} if found else {}
