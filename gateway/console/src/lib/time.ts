/** Dates and times as the reader's place has them. */

import type { Language } from './i18n'

const LOCALES: Record<Language, string | undefined> = { en: undefined, zh: 'zh-CN' }

/** English readers have their own ways with dates: the browser's, when it is English at all. */
function locale(language: Language): string {
  return LOCALES[language] ?? (navigator.language.startsWith('en') ? navigator.language : 'en-GB')
}

const made = new Map<string, Intl.DateTimeFormat>()

function format(language: Language, name: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${language} ${name}`
  let found = made.get(key)
  if (found === undefined) {
    found = new Intl.DateTimeFormat(locale(language), options)
    made.set(key, found)
  }
  return found
}

type When = string | number | Date

export function clock(language: Language, when: When): string {
  return format(language, 'clock', { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' }).format(new Date(when))
}

export function dayAndTime(language: Language, when: When): string {
  return format(language, 'day', {
    year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23',
  }).format(new Date(when))
}

/** For `<input type="datetime-local">`: local time without a zone, to the minute. */
export function localInput(when: When): string {
  const date = new Date(when)
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}

/** 1:02:03, or 02:03 below an hour; never negative. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  const two = (value: number): string => String(value).padStart(2, '0')
  const hours = Math.floor(whole / 3600)
  const rest = `${two(Math.floor((whole % 3600) / 60))}:${two(whole % 60)}`
  return hours > 0 ? `${hours}:${rest}` : rest
}
