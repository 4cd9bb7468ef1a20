/** Which page is shown: the part of the address after `#`, so that it can be linked and gone back to. */

export const PAGES = ['channels', 'joint', 'recordings', 'admin', 'settings'] as const
export type Page = (typeof PAGES)[number]

export interface Place {
  page: Page
  /** What follows the page's name: a tab, an id. */
  rest: string
}

export function readPlace(hash: string): Place {
  const [, page = '', ...rest] = hash.replace(/^#/, '').split('/')
  const known = PAGES.find((name) => name === page)
  return { page: known ?? 'channels', rest: known ? rest.map(decodeURIComponent).join('/') : '' }
}

export class Route {
  place = $state.raw<Place>(readPlace(location.hash))

  constructor() {
    window.addEventListener('hashchange', () => { this.place = readPlace(location.hash) })
  }

  go(page: Page, rest = ''): void {
    location.hash = rest === '' ? `#/${page}` : `#/${page}/${rest}`
  }
}
