// What anybody must be able to do with a page, whatever they see it with: measured in the browser, on the page as it is shown.

/** Text that stands out too little from what is behind it (WCAG 1.4.3; large text is held to the same), as `{text, ratio}`. */
export function faintTexts(page, least = 4.5) {
  return page.evaluate((least) => {
    const channels = (color) => color.match(/[\d.]+/g).map(Number);
    const luminance = (color) => {
      const [r, g, b] = channels(color).map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
      for (let at = element; at; at = at.parentElement) {
        const color = getComputedStyle(at).backgroundColor;
        const alpha = channels(color)[3] ?? 1;
        if (alpha === 1) return color;
        if (alpha !== 0) throw new Error(`cannot see through ${color}`);
      }
      throw new Error('there is no ground');
    };
    const faint = [];
    const see = (element, text) => {
      const { color, opacity, fontSize } = getComputedStyle(element);
      const [light, dark] = [luminance(color), luminance(behind(element))].sort((a, b) => b - a);
      const ratio = (light + 0.05) / (dark + 0.05);
      if (ratio < least || Number(opacity) < 1) faint.push({ text, ratio: ratio.toFixed(2), color, fontSize });
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      const text = walker.currentNode.textContent.trim();
      if (text && element.checkVisibility()) see(element, text);
    }
    for (const input of document.querySelectorAll('input:not([type=radio], [type=hidden])')) see(input, input.value);
    return faint;
  }, least);
}

/** What is wrong with the page for people who do not see it, or who see it on a phone, in words. */
export function barriers(page) {
  return page.evaluate(() => {
    const wrong = [];
    const must = (isRight, what) => isRight || wrong.push(what);
    const all = (selector) => [...document.querySelectorAll(selector)];
    must(document.documentElement.lang, 'the language is not told');
    must(document.title.trim(), 'there is no title');
    must(all('h1').length === 1 && all('h1')[0].textContent.trim(), 'there is not exactly one h1');
    must(all('main').length === 1, 'there is not exactly one main');
    const levels = all('h1, h2, h3, h4').map(({ tagName }) => Number(tagName[1]));
    must(levels.every((level, place) => level <= (levels[place - 1] ?? 0) + 1), 'a level of headings is left out');
    for (const input of all('input:not([type=hidden]), select, textarea')) {
      must([...input.labels].some((label) => label.textContent.trim()), `${input.name} has no label`);
    }
    for (const button of all('button, a')) must(button.textContent.trim(), `a ${button.tagName} has no name`);
    for (const image of all('img')) must(image.hasAttribute('alt'), `${image.src} has no alternative`);
    for (const set of all('fieldset')) must(set.querySelector(':scope > legend')?.textContent.trim(), 'a fieldset has no legend');
    for (const radio of all('input[type=radio]')) must(radio.closest('fieldset'), 'a radio button is in no group');
    const ids = all('[id]').map(({ id }) => id);
    must(new Set(ids).size === ids.length, 'an id is there twice');
    for (const attribute of ['aria-describedby', 'aria-labelledby', 'for']) {
      for (const element of all(`[${attribute}]`)) {
        must(ids.includes(element.getAttribute(attribute)), `${attribute} names nothing`);
      }
    }
    must(!/user-scalable=no|maximum-scale/.test(document.querySelector('meta[name=viewport]')?.content ?? 'maximum-scale'), 'it cannot be enlarged');
    must(document.documentElement.scrollWidth <= innerWidth, `it is ${document.documentElement.scrollWidth} wide on ${innerWidth}`);
    for (const element of all('body *')) {
      const { left, right, width } = element.getBoundingClientRect();
      must(width === 0 || (left >= 0 && right <= innerWidth + 0.5), `${element.tagName} reaches from ${left} to ${right} on ${innerWidth}`);
    }
    for (const target of all('button, .choice, input[type=number]')) {
      must(target.getBoundingClientRect().height >= 24, `${target.tagName} is too small to hit`);
    }
    return wrong;
  });
}
