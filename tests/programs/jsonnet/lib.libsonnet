{
  service(site, i):: {
    name: '%s-%02d' % [site, i],
    ports: [8080 + i],
    labels: { site: site, [if i > 0 then 'replica']: i },
  },
}
