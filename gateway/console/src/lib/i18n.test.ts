import { expect, it } from 'vitest'
import { en, preferred, say, sayCause, zh } from './i18n'

it('has every word in both languages, with the same places to fill', () => {
  expect(Object.keys(zh).sort()).toEqual(Object.keys(en).sort())
  const places = (text: string): string[] => [...text.matchAll(/\{\w+\}/g)].map(String).sort()
  for (const key of Object.keys(en) as (keyof typeof en)[]) {
    expect(zh[key].trim(), key).not.toBe('')
    expect(places(zh[key]), key).toEqual(places(en[key]))
  }
})

it('fills places in, and knows causes', () => {
  expect(say('en', 'keyQueued', { n: 2 })).toBe('Waiting, place 2. Keep holding')
  expect(sayCause('zh', 'talk_limit')).toBe('达到讲话时限')
  expect(sayCause('en', 'brand_new')).toBe('brand_new')
})

it('chooses by the browser', () => {
  expect(preferred(['zh-CN', 'en'])).toBe('zh')
  expect(preferred(['de'])).toBe('en')
  expect(preferred([])).toBe('en')
})

it('uses every word, and says every state of a joint channel and every cause by name', () => {
  const files = import.meta.glob<string>(['../**/*.svelte', '../**/*.ts', '!../**/*.test.ts', '!./i18n/**'], { eager: true, query: '?raw', import: 'default' })
  const source = Object.values(files).join('\n')
  const unused = Object.keys(en).filter((key) => !/^(cause|joint)\./.test(key) && !source.includes(`'${key}'`))
  expect(unused).toEqual([])
})
