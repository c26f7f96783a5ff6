/* The languages that Whisper knows, by the names that this browser has for them. */

// prettier-ignore
const CODES = [
  'en', 'zh', 'de', 'es', 'ru', 'ko', 'fr', 'ja', 'pt', 'tr', 'pl', 'ca', 'nl', 'ar', 'sv', 'it', 'id', 'hi', 'fi', 'vi',
  'he', 'uk', 'el', 'ms', 'cs', 'ro', 'da', 'hu', 'ta', 'no', 'th', 'ur', 'hr', 'bg', 'lt', 'la', 'mi', 'ml', 'cy', 'sk',
  'te', 'fa', 'lv', 'bn', 'sr', 'az', 'sl', 'kn', 'et', 'mk', 'br', 'eu', 'is', 'hy', 'ne', 'mn', 'bs', 'kk', 'sq', 'sw',
  'gl', 'mr', 'pa', 'si', 'km', 'sn', 'yo', 'so', 'af', 'oc', 'ka', 'be', 'tg', 'sd', 'gu', 'am', 'yi', 'lo', 'uz', 'fo',
  'ht', 'ps', 'tk', 'nn', 'mt', 'sa', 'lb', 'my', 'bo', 'tl', 'mg', 'as', 'tt', 'haw', 'ln', 'ha', 'ba', 'jw', 'su', 'yue',
];

const TAGS: Record<string, string> = { jw: 'jv' }; // where Whisper's code is not the BCP 47 tag

const RARE: Record<string, string> = { ba: 'Bashkir', bo: 'Tibetan' }; // browsers that are cut short lack these

const names = new Intl.DisplayNames('en', { type: 'language' });

/** BCP 47 tag of a language code, for `lang` attributes. */
export function tagOf(code: string): string {
  return TAGS[code] ?? code;
}

export function languageName(code: string): string {
  try {
    const name = names.of(tagOf(code));
    return name && name !== code ? name : (RARE[code] ?? code);
  } catch {
    return code; // not a language tag
  }
}

/** The browser's own languages first, then all by name. */
export function languageGroups(): { own: string[]; all: string[] } {
  const preferred = new Set(navigator.languages.map((tag) => tag.split('-')[0]!));
  const all = CODES.toSorted((a, b) => languageName(a).localeCompare(languageName(b)));
  return { own: all.filter((code) => preferred.has(code)), all };
}
