export const Problem = ({ text }: { text: string }) =>
  text ? (
    <p class="notice bad" role="alert">
      {text}
    </p>
  ) : null
