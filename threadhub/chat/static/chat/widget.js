/** The chat in a page of your own:
 *
 *   <script src="https://hub.example.org/chat/widget.js" data-agent="pk_…" defer></script>
 *
 * README.md of threadhub/chat has the other attributes. */
(() => {
  const { src, dataset } = document.currentScript;
  import(new URL("../static/chat/embed.js", src).href)
    .then(({ embed }) => embed({ ...dataset }))
    .catch((error) => console.error("threadhub: the chat could not be loaded.", error));
})();
