/** The words of the page, and what is said about a cause. */

import { en, type Key, type Words } from './i18n/en'
import { zh } from './i18n/zh'

export { en, zh, type Key, type Words }

export type Language = 'en' | 'zh'

export const catalogue: Record<Language, Words> = { en, zh }

export function preferred(languages: readonly string[]): Language {
  return languages[0]?.toLowerCase().startsWith('zh') ? 'zh' : 'en'
}

export function say(language: Language, key: Key, values: Record<string, string | number> = {}): string {
  return catalogue[language][key].replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole))
}

/** Words for a cause from the gateway; the cause itself when it is one that this page does not know. */
export function sayCause(language: Language, cause: string): string {
  const key = `cause.${cause}`
  return key in en ? say(language, key as Key) : cause
}
