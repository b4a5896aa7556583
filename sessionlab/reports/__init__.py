"""Reports: notebooks run with parameters, and one offline HTML file made of what they show.

Nothing is imported here: papermill, plotly and the exporter are heavy, so each module is imported where it is used.
"""
